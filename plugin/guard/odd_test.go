package guard

import (
	"context"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/cache"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// TestOddQuestionsPoisonNoCache holds that what those hear who ask without RD, with
// CD or for one network does not become what the cache above tells everybody.
func TestOddQuestionsPoisonNoCache(t *testing.T) {
	for word, broken := range map[string]func(*dns.Msg) *dns.Msg{"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "timeout": nil} {
		for odd, edit := range map[string]func(*dns.Msg){
			"no RD": func(r *dns.Msg) { r.RecursionDesired = false },
			"a subnet": func(r *dns.Msg) {
				r.SetEdns0(1232, false)
				r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
			},
		} {
			t.Run(word+" "+odd, func(t *testing.T) {
				inWorld(t, plainConf, func(w *world) {
					w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
					w.learn(api, time.Minute)
					c := cache.New()
					c.Next = w.g
					through := func(edit func(*dns.Msg)) *dns.Msg {
						r := new(dns.Msg).SetQuestion(api, dns.TypeA)
						if edit != nil {
							edit(r)
						}
						to := &client{ResponseWriter: &test.ResponseWriter{}, got: make(chan *dns.Msg, 2)}
						if _, err := c.ServeDNS(context.Background(), to, r); err != nil && len(to.got) == 0 {
							return new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
						}
						return <-to.got
					}
					w.below.set(api+" A", broken)
					if m := through(edit); len(m.Answer) != 0 {
						t.Errorf("stood in for an odd question: %v", m)
					}
					w.want(through(nil), dns.RcodeSuccess, "192.0.2.1")
				})
			})
		}
	}
}
