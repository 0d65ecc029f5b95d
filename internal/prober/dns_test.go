package prober

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/health"
)

// serveDNS answers queries over UDP and TCP on one port.
func serveDNS(t *testing.T, h dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	for range 20 {
		u, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", u.LocalAddr().String())
		if err != nil {
			_ = u.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: u, Handler: h}, {Listener: l, Handler: h}} {
			ready := make(chan struct{})
			s.NotifyStartedFunc = func() { close(ready) }
			go func() { _ = s.ActivateAndServe() }()
			<-ready
			t.Cleanup(func() { _ = s.Shutdown() })
		}
		return addrPort(u.LocalAddr())
	}
	t.Fatal("no port is free for UDP and TCP")
	return netip.AddrPort{}
}

func rr(t *testing.T, s string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// zone answers for a few names.
func zone(t *testing.T) dns.HandlerFunc {
	records := map[string][]dns.RR{
		"shop.example.": {rr(t, "shop.example. 30 IN A 192.0.2.1"), rr(t, "shop.example. 30 IN A 192.0.2.2")},
		"txt.example.":  {rr(t, `txt.example. 30 IN TXT "Hello World"`)},
		"mail.example.": {rr(t, "mail.example. 30 IN MX 10 MX.example.")},
	}
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if m.Answer = records[q.Question[0].Name]; m.Answer == nil {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	}
}

func TestDNS(t *testing.T) {
	to := serveDNS(t, zone(t))
	for _, tc := range []struct {
		name  string
		spec  Spec
		cause health.Cause
	}{
		{"host's A", Spec{}, health.CauseNone},
		{"expected answer", Spec{QueryName: "shop.example", Expect: Expect{Answer: []string{"192.0.2.9", "192.0.2.2"}}}, health.CauseNone},
		{"other answer", Spec{Expect: Expect{Answer: []string{"192.0.2.9"}}}, health.CauseAnswer},
		{"TXT", Spec{QueryName: "txt.example.", QueryType: "txt", Expect: Expect{Answer: []string{"Hello World"}}}, health.CauseNone},
		{"MX", Spec{QueryName: "mail.example.", QueryType: "MX", Expect: Expect{Answer: []string{"10  mx.example"}}}, health.CauseNone},
		{"NXDOMAIN", Spec{QueryName: "none.example"}, health.CauseRcode},
		{"expected NXDOMAIN", Spec{QueryName: "none.example", Expect: Expect{Rcode: "nxdomain"}}, health.CauseNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Type = "dns"
			r := want(t, tc.spec, "shop.example", to, tc.cause)
			if names(r) != "reply " {
				t.Errorf("steps %v", r.Steps)
			}
		})
	}
}

// What does not answer the question is no answer: not a late reply, not a forged
// one, not noise.
func TestDNSIgnoresOthers(t *testing.T) {
	to := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_, _ = w.Write([]byte("noise"))
		m := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		m.Id++
		_ = w.WriteMsg(m)
		m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		m.Question[0].Name = "other.example."
		_ = w.WriteMsg(m)
		_ = w.WriteMsg(q) // the query itself
		_ = w.WriteMsg(new(dns.Msg).SetReply(q))
	})
	want(t, Spec{Type: "dns"}, "Shop.Example", to, health.CauseNone)
}

func TestDNSBroken(t *testing.T) {
	s := Spec{Type: "dns"}
	want(t, s, "shop.example", serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		b, _ := new(dns.Msg).SetReply(q).Pack()
		_, _ = w.Write(b[:len(b)-3])
	}), health.CauseProtocol)
	want(t, s, "shop.example", closedPort(t), health.CauseRefused)
	s.Timeout, s.Attempts = brief, 3
	var asked atomic.Int32
	want(t, s, "shop.example", serveDNS(t, func(dns.ResponseWriter, *dns.Msg) { asked.Add(1) }), health.CauseTimeout)
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", asked.Load())
	}
}

func TestDNSTruncated(t *testing.T) {
	answer := zone(t)
	to := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if w.LocalAddr().Network() == "tcp" {
			answer(w, q)
			return
		}
		m := new(dns.Msg).SetReply(q)
		m.Truncated = true
		_ = w.WriteMsg(m)
	})
	want(t, Spec{Type: "dns", Expect: Expect{Answer: []string{"192.0.2.2"}}}, "shop.example", to, health.CauseNone)
}

func TestDNSOverTLS(t *testing.T) {
	ca := newAuthority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, "dns.example", time.Now().Add(time.Hour))},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: l, Handler: zone(t)}
	go func() { _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = l.Close() })
	s := Spec{Type: "dns", UseTLS: true, Verify: true, CAFile: ca.file, QueryName: "shop.example"}
	r := want(t, s, "dns.example", addrPort(l.Addr()), health.CauseNone)
	if r.Expiry.IsZero() || names(r) != "dial handshake reply " {
		t.Errorf("expiry %s, steps %v", r.Expiry, r.Steps)
	}
	want(t, s, "other.example", addrPort(l.Addr()), health.CauseTLSName)
}
