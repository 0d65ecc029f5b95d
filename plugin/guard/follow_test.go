package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	edge = "edge.cdn.example."
	pop  = "pop7.edge.example."
)

// TestAChainThatMoved holds that while the DNS of a name fails in whatever way, its kept
// CNAME leads to what its target says now, at once and later on; and that the kept
// addresses stand in where that fails as well.
func TestAChainThatMoved(t *testing.T) {
	for word, broken := range map[string]func(*dns.Msg) *dns.Msg{
		"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "timeout": nil, "a bare CNAME": has(api + " 5 IN CNAME " + edge),
	} {
		t.Run(word, func(t *testing.T) {
			inWorld(t, plainConf, func(w *world) {
				w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
				w.below.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
				w.learn(api, 2*time.Minute)
				w.below.set(edge+" A", has(edge+" 3 IN A 198.51.100.7"))
				w.below.set(api+" A", broken)
				for i := range 10 {
					m := w.ask(api, dns.TypeA)
					w.want(m, dns.RcodeSuccess, "198.51.100.7")
					if c, ok := m.Answer[0].(*dns.CNAME); !ok || c.Target != edge || m.Answer[1].Header().Ttl > 3 {
						t.Fatalf("question %d: %v", i, m.Answer)
					}
					wait(20 * time.Second)
				}
				for what, negative := range map[string]func(*dns.Msg) *dns.Msg{"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "silence": nil} {
					w.below.set(edge+" A", negative)
					for range 12 {
						w.ask(api, dns.TypeA)
						wait(5 * time.Second)
					}
					m := w.ask(api, dns.TypeA)
					if w.want(m, dns.RcodeSuccess, "198.51.100.7"); m.Answer[1].Header().Ttl != 15 {
						t.Fatalf("%s: what the target said last stands in: %v", what, m.Answer)
					}
				}
				wait(15 * time.Minute) // a link is kept for as long as addresses are
				w.below.set(edge+" A", has(edge+" 3 IN A 198.51.100.7"))
				if m := w.ask(api, dns.TypeA); len(m.Answer) > 1 {
					t.Errorf("kept for too long: %v", m.Answer)
				}
			})
		})
	}
}

// TestANegativeTarget holds that kept addresses are answered where the targets say
// nothing good, or what must not be believed of the name.
func TestANegativeTarget(t *testing.T) {
	for what, says := range map[string]func(*dns.Msg) *dns.Msg{
		"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "silence": nil,
		"the name itself": has(edge+" 5 IN CNAME "+api, api+" 5 IN A 203.0.113.1"),
		"itself":          has(edge+" 5 IN CNAME "+edge, edge+" 5 IN A 203.0.113.1"),
		"a circle":        has(edge+" 5 IN CNAME "+pop, pop+" 5 IN CNAME "+edge),
		"a private one":   has(edge + " 5 IN A 10.0.0.1"),
		"a forbidden one": has(edge + " 5 IN A 169.254.169.254"),
		"cut short":       func(r *dns.Msg) *dns.Msg { m := has(edge + " 5 IN A 203.0.113.1")(r); m.Truncated = true; return m },
		"second hand":     staleSaid(has(edge + " 5 IN A 203.0.113.1")),
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, plainConf, func(w *world) {
				w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
				w.learn(api, 2*time.Minute)
				w.below.set(edge+" A", says)
				w.below.set(api+" A", nodata)
				for range 8 {
					w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
					wait(5 * time.Second)
				}
				w.below.set(edge+" A", nodata) // the question that is under way ends
				wait(askTime)
			})
		})
	}
}

// staleSaid marks replies as stale, as a cache on the way does.
func staleSaid(f func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
	return func(r *dns.Msg) *dns.Msg {
		m := f(r)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer}}
		return m
	}
}

// TestEightLinks holds that the first target that is well is used, however deep, and
// that a chain is no longer than eight with what that leads to.
func TestEightLinks(t *testing.T) {
	for _, c := range []struct{ alive, more int }{{0, 0}, {3, 2}, {7, 0}, {7, 1}} {
		inWorld(t, plainConf, func(w *world) {
			link := func(i int) string { return fmt.Sprintf("l%d.cdn.example.", i) }
			records := []string{api + " 5 IN CNAME " + link(0)}
			for i := range 7 {
				records = append(records, link(i)+" 5 IN CNAME "+link(i+1))
			}
			w.below.set(api+" A", has(append(records, link(7)+" 5 IN A 192.0.2.1")...))
			w.learn(api, 2*time.Minute)
			owner, moved := link(c.alive), []string(nil)
			for i := range c.more {
				moved = append(moved, fmt.Sprintf("%s 5 IN CNAME m%d.example.", owner, i))
				owner = fmt.Sprintf("m%d.example.", i)
			}
			w.below.set(link(c.alive)+" A", has(append(moved, owner+" 5 IN A 198.51.100.7")...))
			w.below.set(api+" A", nxdomain)
			want := "198.51.100.7"
			if c.alive+1+c.more > 8 {
				want = "192.0.2.1"
			}
			m := w.ask(api, dns.TypeA)
			if w.want(m, dns.RcodeSuccess, want); len(m.Answer) > 9 {
				t.Errorf("%v", m.Answer)
			}
		})
	}
}

// TestAForgedChainLeadsNowhere holds that a CNAME that came once is not followed.
func TestAForgedChainLeadsNowhere(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, 2*time.Minute)
		w.below.set(api+" A", has(api+" 5 IN CNAME evil.example.", "evil.example. 5 IN A 192.0.2.1"))
		w.below.set("evil.example. A", has("evil.example. 5 IN A 203.0.113.66"))
		for range 10 {
			w.ask(api, dns.TypeA)
			wait(time.Second)
		}
		w.below.set(api+" A", nxdomain)
		for range 10 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(5 * time.Second)
		}
		if w.below.asked["evil.example. A"] != 0 {
			t.Error("it was asked")
		}
	})
}

// TestAStrangeTarget holds that with `change` what a target says must prove itself too,
// and that an address that was refuted does not come back by it.
func TestAStrangeTarget(t *testing.T) {
	conf := "guard api.cloud.example {\n state off\n on nodata change\n}"
	inWorld(t, conf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		w.back.set("192.0.2.1", mine)
		w.back.set("203.0.113.66", w.ca.issue(t, "evil.example"))
		w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
		w.learn(api, 2*time.Minute)
		w.below.set(edge+" A", has(edge+" 5 IN A 203.0.113.66"))
		w.below.set(api+" A", nodata)
		for range 20 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(3 * time.Second)
		}
		w.below.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
		w.back.set("192.0.2.1", w.ca.issue(t, "shop.other.example"))
		wait(5 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
	})
}
