// Package transport stands between the sockets and CoreDNS's servers: it reads questions
// from UDP, TCP and TLS, bounds connections, and holds the rules of the transports that
// CoreDNS does not. What is answered is CoreDNS's business, which is asked by
// dnsserver.Server.ServeDNS as CoreDNS asks it.
package transport

import (
	"net/http"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/unexported"
)

// Wrap returns servers that stand in front of those that CoreDNS made of one Corefile, which
// have not begun to serve. places is how many connections each listener of TCP or TLS may
// hold.
func Wrap(servers []caddy.Server, places int) []caddy.Server {
	out := make([]caddy.Server, len(servers))
	for i, s := range servers {
		out[i] = wrap(s, places)
	}
	return out
}

func wrap(s caddy.Server, places int) caddy.Server {
	switch s := s.(type) {
	case *dnsserver.Server:
		return newServer(s, s, "tcp", nil, places)
	case *dnsserver.ServerTLS:
		return newServer(s, s.Server, "tcp-tls", tlsOf(s), places)
	case *dnsserver.ServerHTTPS:
		checkChains(s.Server)
		checkRequests(s, s.Addr, vars.HTTPSResponsesCount)
		return newHTTPS(s)
	case *dnsserver.ServerHTTPS3:
		checkChains(s.Server)
		checkRequests(s, s.Addr, vars.HTTPS3ResponsesCount)
	case *dnsserver.ServerQUIC:
		checkChains(s.Server)
	case *dnsserver.ServergRPC:
		checkChains(s.Server)
	}
	return s
}

// checkChains lets the rules for messages stand before each block's plugins, for servers
// that read messages themselves.
func checkChains(s *dnsserver.Server) {
	for _, blocks := range *unexported.Field[map[string][]*dnsserver.Config](s, "zones") {
		for _, b := range blocks {
			chain := unexported.Field[plugin.Handler](b, "pluginChain")
			if _, ok := (*chain).(checked); *chain != nil && !ok {
				*chain = checked{*chain, s.Addr}
			}
		}
	}
}

// checkRequests lets the rules for requests stand before a server of HTTPS.
func checkRequests(s http.Handler, server string, counts *prometheus.CounterVec) {
	h := unexported.Field[http.Handler](s, "httpsServer", "Handler")
	*h = requests{*h, server, counts}
}
