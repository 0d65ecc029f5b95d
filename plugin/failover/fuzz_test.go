package failover

import (
	"context"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"
)

// FuzzQuery feeds the plugin messages of any kind: it must not crash, must echo
// the question of what it answers, and what it writes must be DNS.
func FuzzQuery(f *testing.F) {
	for _, name := range []string{"shop.example.org.", "SHOP.example.org.", "example.org.", "_https._tcp.shop.example.org.", "x.test.", ".", "\\000.\\..shop.example.org."} {
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeANY, dns.TypeSOA, dns.TypeMX, dns.TypeSRV} {
			m := question(name, t)
			m.SetEdns0(1232, true)
			if b, err := m.Pack(); err == nil {
				f.Add(b)
			}
		}
	}
	h := handler(f, twoRegions, say(dns.RcodeNameError, "example.org. 900 IN SOA ns. host. 1 2 3 4 900"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := new(dns.Msg)
		if r.Unpack(b) != nil {
			return
		}
		rec := dnstest.NewRecorder(&writer{addr: udp("10.240.0.1")})
		if _, err := h.ServeDNS(context.Background(), rec, r); err != nil || rec.Msg == nil {
			return
		}
		if len(r.Question) == 1 && (len(rec.Msg.Question) != 1 || rec.Msg.Question[0] != r.Question[0]) {
			t.Errorf("question %v answered as %v", r.Question, rec.Msg.Question)
		}
		if rec.Msg.Id != r.Id {
			t.Errorf("id %d answered as %d", r.Id, rec.Msg.Id)
		}
		if _, err := rec.Msg.Pack(); err != nil {
			t.Errorf("the reply to %v does not pack: %v", r, err)
		}
	})
}

// FuzzBelow lets the plugin below write anything: nothing of it may crash us, and
// no CNAME or NXDOMAIN may take a service's name away.
func FuzzBelow(f *testing.F) {
	for _, h := range []plugin.Handler{
		say(dns.RcodeNameError), say(dns.RcodeSuccess, "shop.example.org. 60 IN CNAME x.test."),
		say(dns.RcodeSuccess, "shop.example.org. 60 IN MX 10 mail.example.org."),
	} {
		rec := dnstest.NewRecorder(&writer{addr: udp("10.240.0.1")})
		_, _ = h.ServeDNS(context.Background(), rec, question("shop.example.org.", dns.TypeMX))
		if b, err := rec.Msg.Pack(); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte{1, 2, 3})
	var reply []byte
	h := handler(f, twoRegions, plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		_, err := w.Write(reply)
		return dns.RcodeSuccess, err
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		reply = b
		for _, name := range []string{"shop.example.org.", "example.org."} {
			rec := dnstest.NewRecorder(&writer{addr: udp("10.240.0.1")})
			_, _ = h.ServeDNS(context.Background(), rec, question(name, dns.TypeMX))
			if rec.Msg == nil || name == "example.org." {
				continue
			}
			if rec.Msg.Rcode == dns.RcodeNameError && len(rec.Msg.Question) > 0 {
				t.Errorf("an NXDOMAIN for a service got through: %v", rec.Msg)
			}
		}
	})
}
