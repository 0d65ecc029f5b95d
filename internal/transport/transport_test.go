package transport

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// blocks is one block for every name that answers with an OPT record of its own.
func blocks(t *testing.T, with plugin.Handler) []*dnsserver.Config {
	t.Helper()
	c := &dnsserver.Config{Zone: ".", TLSConfig: &tls.Config{Certificates: []tls.Certificate{{}}}} //nolint:gosec // nobody connects
	c.AddPlugin(func(plugin.Handler) plugin.Handler { return with })
	return []*dnsserver.Config{c}
}

// flagged answers with an OPT record that has every flag.
var flagged = plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	m := new(dns.Msg).SetReply(r)
	m.Extra = []dns.RR{&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 4096, Ttl: 0xffff}}}
	return dns.RcodeSuccess, w.WriteMsg(m)
})

func made[T caddy.Server](s T, err error) caddy.Server {
	if err != nil {
		panic(err)
	}
	return s
}

// TestEveryTransport holds that the rules for messages stand before CoreDNS's servers of
// every transport, and so that what is reached in them is still where it was.
func TestEveryTransport(t *testing.T) {
	for name, s := range map[string]caddy.Server{
		"dns":    made(dnsserver.NewServer("dns://:53", blocks(t, flagged))),
		"tls":    made(dnsserver.NewServerTLS("tls://:853", blocks(t, flagged))),
		"https":  made(dnsserver.NewServerHTTPS("https://:443", blocks(t, flagged))),
		"https3": made(dnsserver.NewServerHTTPS3("https3://:443", blocks(t, flagged))),
		"quic":   made(dnsserver.NewServerQUIC("quic://:853", blocks(t, flagged))),
		"grpc":   made(dnsserver.NewServergRPC("grpc://:443", blocks(t, flagged))),
	} {
		for n, want := range map[int]int{1: dns.RcodeSuccess, 2: dns.RcodeFormatError} {
			r := new(dns.Msg).SetQuestion("x.", dns.TypeA)
			for range n {
				r.Extra = append(r.Extra, &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 4096, Ttl: 0x4000}})
			}
			w := dnstest.NewRecorder(&test.ResponseWriter{TCP: true})
			ask(t, Wrap([]caddy.Server{s}, 10)[0], w, r)
			if w.Msg == nil || w.Msg.Rcode != want {
				t.Errorf("%s, %d OPT records: %v", name, n, w.Msg)
				continue
			}
			if o := w.Msg.IsEdns0(); o != nil && o.Hdr.Ttl&0x7fff&^0x3fff != 0 {
				t.Errorf("%s: flags %#x", name, o.Hdr.Ttl)
			}
		}
	}
}

// ask asks a server as its transport would.
func ask(t *testing.T, s caddy.Server, w dns.ResponseWriter, r *dns.Msg) {
	t.Helper()
	ctx := context.Background()
	switch s := s.(type) {
	case *server:
		s.serveDNS(w, r)
	case *https:
		s.GracefulServer.(*dnsserver.ServerHTTPS).ServeDNS(ctx, w, r)
	case interface {
		ServeDNS(context.Context, dns.ResponseWriter, *dns.Msg)
	}:
		s.ServeDNS(ctx, w, r)
	default:
		t.Fatalf("%T", s)
	}
}

// TestAStopThatComesFirst holds that a server told to stop before it began does not serve,
// and that nobody waits for it.
func TestAStopThatComesFirst(t *testing.T) {
	s := Wrap([]caddy.Server{made(dnsserver.NewServer("dns://127.0.0.1:0", blocks(t, flagged)))}, 10)[0].(*server)
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.ListenPacket()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); err != nil {
		t.Error(err)
	}
	if err := s.ServePacket(p); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("it listens")
	}
}

func FuzzAdmit(f *testing.F) {
	for _, extra := range [][]dns.RR{nil, {&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Ttl: 0xffff}}}} {
		m := new(dns.Msg).SetQuestion("x.", dns.TypeA)
		m.Extra = extra
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := new(dns.Msg)
		if r.Unpack(b) != nil {
			return
		}
		bad := len(r.Question) == 0 || Malformed(r)
		w := dnstest.NewRecorder(&test.ResponseWriter{})
		admit("test", w, r, func(w dns.ResponseWriter, r *dns.Msg) { _, _ = flagged.ServeDNS(t.Context(), w, r) })
		switch o := w.Msg.IsEdns0(); {
		case bad != (w.Msg.Rcode == dns.RcodeFormatError):
			t.Errorf("%v answered with %v", r, w.Msg)
		case !bad && r.IsEdns0() != nil && (o.UDPSize() != size || o.Hdr.Ttl&0x7fff != 0):
			t.Errorf("%v answered with %v", r, o)
		}
	})
}
