package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/unexported"
)

// grace is how long the queries under way may take once a server is to stop: CoreDNS's own.
const grace = 5 * time.Second

// server reads questions for a server of CoreDNS, over UDP and TCP or over TLS. It listens
// where that would, and does what its Serve and ServePacket do.
type server struct {
	caddy.GracefulServer
	core   *dnsserver.Server
	tls    *tls.Config // nil where questions are not encrypted
	places int
	stream served
	packet served
}

// newServer serves s, of which core is what answers. network is "tcp" or "tcp-tls".
func newServer(s caddy.GracefulServer, core *dnsserver.Server, network string, c *tls.Config, places int) *server {
	out := &server{GracefulServer: s, core: core, tls: c, places: places}
	handler := dns.HandlerFunc(out.serveDNS)
	out.stream.init(&dns.Server{
		Net: network, Handler: handler, TsigSecret: core.TsigSecret, MaxTCPQueries: core.MaxTCPQueries,
		ReadTimeout: core.ReadTimeout, IdleTimeout: func() time.Duration { return core.IdleTimeout },
	})
	if network == "tcp" {
		out.packet.init(&dns.Server{
			Net: "udp", Handler: handler, TsigSecret: core.TsigSecret, UDPSize: size, DecorateWriter: decorator(core),
		})
	}
	return out
}

// decorator is what a plugin, `shed`, does with all replies over UDP; nil without one.
func decorator(core *dnsserver.Server) dns.DecorateWriter {
	if make := *unexported.Field[func(*dnsserver.Server) dns.DecorateWriter](core, "udpDecorateWriterFunc"); make != nil {
		return make(core)
	}
	return nil
}

func tlsOf(s *dnsserver.ServerTLS) *tls.Config { return *unexported.Field[*tls.Config](s, "tlsConfig") }

func (s *server) serveDNS(w dns.ResponseWriter, r *dns.Msg) {
	admit(s.core.Addr, w, r, func(w dns.ResponseWriter, r *dns.Msg) {
		ctx := context.WithValue(context.Background(), dnsserver.Key{}, s.core)
		s.core.ServeDNS(context.WithValue(ctx, dnsserver.LoopKey{}, 0), w, r)
	})
}

// Serve reads questions from the connections that l accepts, until Stop.
func (s *server) Serve(l net.Listener) error {
	l = bound(l, s.places, s.core.WriteTimeout, s.core.Addr)
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	s.stream.dns.Listener = l
	return s.stream.run()
}

// ServePacket reads questions from p, until Stop.
func (s *server) ServePacket(p net.PacketConn) error {
	if s.packet.dns == nil {
		return nil
	}
	s.packet.dns.PacketConn = p
	return s.packet.run()
}

// Stop ends both at once, when the questions under way are answered, or after a grace.
func (s *server) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs [2]error
	var wg sync.WaitGroup
	for i, of := range []*served{&s.stream, &s.packet} {
		wg.Go(func() { errs[i] = of.stop(ctx) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// served is a server of the library, which cannot be stopped before it began.
type served struct {
	dns     *dns.Server // nil if there is none
	began   chan struct{}
	mu      sync.Mutex
	running bool
	stopped bool
}

func (s *served) init(d *dns.Server) {
	s.dns, s.began = d, make(chan struct{})
	d.NotifyStartedFunc = func() { close(s.began) }
}

// run serves until stop. If that was first, it only closes what it would have read.
func (s *served) run() error {
	s.mu.Lock()
	s.running = !s.stopped
	s.mu.Unlock()
	switch {
	case s.running:
		return s.dns.ActivateAndServe()
	case s.dns.Listener != nil:
		return s.dns.Listener.Close()
	default:
		return s.dns.PacketConn.Close()
	}
}

func (s *served) stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	running := s.running
	s.mu.Unlock()
	if !running {
		return nil
	}
	select {
	case <-s.began:
		return s.dns.ShutdownContext(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}
