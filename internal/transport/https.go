package transport

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/pkg/doh"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/unexported"
)

// https serves a server of CoreDNS behind places, in the number that its plugin `https`
// says. Its own bound lets who comes wait while idle connections hold every place.
type https struct {
	caddy.GracefulServer
	addr   string
	places int
}

func newHTTPS(s *dnsserver.ServerHTTPS) *https {
	most := unexported.Field[int](s, "maxConnections")
	out := &https{GracefulServer: s, addr: s.Addr, places: *most}
	*most = 0
	return out
}

func (s *https) Serve(l net.Listener) error {
	err := s.GracefulServer.Serve(bound(l, s.places, 0, s.addr)) // deadlines are those of net/http
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// requests is a server of HTTPS behind the rules for requests: the methods of RFC 8484
// section 4.1, or 405 (RFC 9110 section 15.5.6), and its content type, or 415 (section
// 15.5.16).
type requests struct {
	http.Handler
	server string
	counts *prometheus.CounterVec // of replies, by server and status: CoreDNS's own
}

func (h requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		h.refuse(w, http.StatusMethodNotAllowed, "ask with GET or POST (RFC 8484)")
	case r.Method == http.MethodPost && (err != nil || kind != doh.MimeType):
		w.Header().Set("Accept", doh.MimeType)
		h.refuse(w, http.StatusUnsupportedMediaType, "the content type must be "+doh.MimeType+" (RFC 8484)")
	default:
		h.Handler.ServeHTTP(w, r)
	}
}

func (h requests) refuse(w http.ResponseWriter, status int, why string) {
	http.Error(w, why, status)
	h.counts.WithLabelValues(h.server, strconv.Itoa(status)).Inc()
}
