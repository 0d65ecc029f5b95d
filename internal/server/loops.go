package server

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/coredns/caddy/caddyfile"
	"github.com/coredns/coredns/plugin/pkg/log"
	corefile "github.com/coredns/coredns/plugin/pkg/parse"

	"github.com/detour-dns/detour/plugin/failover"
)

// loops returns the uses of `forward` that send questions to where their own block
// listens: each would come back and go round until it is given up. A resolv.conf that
// names 127.0.0.1 does that, where we have taken the place of what listened there.
func (c *checker) loops(blocks []caddyfile.ServerBlock) (out Faults) {
	for _, b := range blocks {
		for _, use := range uses("forward", b.Tokens["forward"]) {
			for _, to := range upstreams(use) {
				if !listensAt(b, to) {
					continue
				}
				f := place(c.path, use)
				f.Message = fmt.Sprintf("forward sends questions to %s, where this block listens itself: they go round. Name other servers", to)
				out = append(out, f)
			}
		}
	}
	return out
}

// upstreams returns the addresses of a use of `forward`, as host:port or
// transport://host:port, those in a file that it names too; none if it has a fault,
// which is told elsewhere.
func upstreams(use []caddyfile.Token) []string {
	args := arguments(use)
	servers, err := corefile.HostPortOrFile(args[min(1, len(args)):]...)
	if err != nil {
		return nil
	}
	return servers
}

// listensAt reports whether a block, whose keys Caddy has made whole, listens at an
// upstream's address.
func listensAt(b caddyfile.ServerBlock, upstream string) bool {
	transport, at := corefile.Transport(upstream)
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, key := range b.Keys {
		keyTransport, rest, _ := strings.Cut(key, "://")
		if _, keyPort, err := net.SplitHostPort(rest); err == nil && keyTransport == transport && keyPort == port && isBound(b, addr) {
			return true
		}
	}
	return false
}

// isBound reports whether a block listens on an address of this machine: on one that
// `bind` names, or on any.
func isBound(b caddyfile.ServerBlock, addr netip.Addr) bool {
	hosts := boundTo(b)
	if len(hosts) > 0 && !slices.Contains(hosts, "0.0.0.0") && !slices.Contains(hosts, "::") {
		return slices.Contains(hosts, addr.String())
	}
	if addr.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == addr.Unmap()
	})
}

// boundTo returns what `bind` of a block names.
func boundTo(b caddyfile.ServerBlock) (hosts []string) {
	for _, use := range uses("bind", b.Tokens["bind"]) {
		hosts = append(hosts, arguments(use)...)
	}
	return hosts
}

// tellLoops says in the log and in `status` that questions go round, or do no more.
func (s *Server) tellLoops(loops Faults) {
	texts := make([]string, len(loops))
	for i, f := range loops {
		texts[i] = f.Error()
		log.Warning(texts[i])
	}
	s.loops = loops
	failover.CorefileWarns(texts)
}
