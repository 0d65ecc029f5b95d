package failover

import (
	"context"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// TestWriteContract holds the plugin against handlers below that misbehave.
func TestWriteContract(t *testing.T) {
	for name, next := range map[string]plugin.Handler{
		"nil handler": nil,
		"writes nil": plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
			return dns.RcodeSuccess, w.WriteMsg(new(dns.Msg))
		}),
		"writes bytes": plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			b, _ := new(dns.Msg).SetRcode(r, dns.RcodeNameError).Pack()
			_, err := w.Write(b)
			return dns.RcodeSuccess, err
		}),
		"writes garbage": plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
			_, err := w.Write([]byte{1, 2, 3})
			return dns.RcodeSuccess, err
		}),
		"drops": plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
			return dns.RcodeSuccess, nil
		}),
		"servfail": plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
			return dns.RcodeServerFailure, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			f := handler(t, twoRegions, next)
			for _, q := range []string{"shop.example.org.", "example.org.", "unrelated.test."} {
				m, rcode := ask(t, f, "10.240.0.1", question(q, dns.TypeTXT))
				if name == "servfail" && rcode != dns.RcodeServerFailure {
					t.Errorf("%s: rcode %d came up, want what came from below", q, rcode)
				}
				if name == "drops" && m != nil {
					t.Errorf("%s: a drop below became %v", q, m)
				}
			}
		})
	}
}

func TestOtherOpcodesAndClassesPass(t *testing.T) {
	reached := 0
	f := handler(t, twoRegions, plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
		reached++
		return dns.RcodeSuccess, nil
	}))
	chaos := question("shop.example.org.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	notify := question("shop.example.org.", dns.TypeSOA)
	notify.Opcode = dns.OpcodeNotify
	two := question("shop.example.org.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	for _, r := range []*dns.Msg{chaos, notify, two, {}} {
		ask(t, f, "10.240.0.1", r)
	}
	if reached != 4 {
		t.Errorf("%d of 4 messages that are not ours reached the next plugin", reached)
	}
}
