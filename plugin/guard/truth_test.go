package guard

import (
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/cache"
	"github.com/miekg/dns"
)

// TestOurOwnQuestionsLeaveNothingInTheCache holds that the question for a chain's target,
// put to the whole server, leaves no failure in the cache above the guard of the target.
func TestOurOwnQuestionsLeaveNothingInTheCache(t *testing.T) {
	for _, follows := range []bool{false, true} {
		inWorld(t, "guard "+api+" "+edge+" {\n proof age\n state off\n}", func(w *world) {
			c := cache.New()
			s, err := dnsserver.NewServer("dns://127.0.0.1:0", []*dnsserver.Config{
				{Zone: ".", Plugin: []plugin.Plugin{
					func(next plugin.Handler) plugin.Handler { c.Next = next; return c },
					func(plugin.Handler) plugin.Handler { return w.g },
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ask := func(name string) *dns.Msg { return askServer(t, s, new(dns.Msg).SetQuestion(name, dns.TypeA)) }
			w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
			w.below.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
			for range 10 {
				if follows {
					ask(api)
				}
				ask(edge)
				wait(20 * time.Second)
			}
			w.below.set(api+" A", nxdomain)
			w.below.set(edge+" A", nxdomain)
			bad, stale := 0, 0
			for range 300 {
				if follows {
					ask(api)
				}
				m := ask(edge)
				if m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 {
					bad++
				}
				if len(w.believed(api).addrs) > 0 {
					stale++
				}
				wait(time.Second)
			}
			w.below.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
			w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
			after := 0
			for range 1800 {
				if m := ask(edge); len(m.Answer) == 0 {
					after++
				}
				wait(time.Second)
			}
			if bad+stale+after > 0 {
				t.Errorf("an alias of it fails, too: %v: of 300 answers %d were negative; what stands in was believed in %d looks; %d s of negative answers after the repair", follows, bad, stale, after)
			}
		})
	}
}

// TestACachedStandInIsNotBelieved holds that what another guard stands in with is not
// taken for what the target's own DNS says, though a cache says it, without a mark.
func TestACachedStandInIsNotBelieved(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		far := newScript()
		other := w.mustGuard(w.T, "guard "+edge+" {\n proof age\n state off\n}")
		other.Next = far
		w.at.enter(other, "cdn.example.:53/")
		c := cache.New()
		s, err := dnsserver.NewServer("dns://127.0.0.1:0", []*dnsserver.Config{
			{Zone: ".", Plugin: []plugin.Plugin{func(plugin.Handler) plugin.Handler { return w.g }}},
			{Zone: "cdn.example.", Plugin: []plugin.Plugin{func(next plugin.Handler) plugin.Handler { c.Next = next; return c }, func(plugin.Handler) plugin.Handler { return other }}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(name string) *dns.Msg {
			return askServer(t, s, new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false))
		}
		w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
		w.below.set(edge+" A", servfail)
		far.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
		for range 10 {
			ask(api)
			ask(edge)
			wait(20 * time.Second)
		}
		far.set(edge+" A", servfail)
		ask(edge) // stood in, and cached
		w.below.set(api+" A", servfail)
		believed := 0
		for range 60 {
			ask(edge)
			ask(api)
			if len(w.believed(api).addrs) > 0 {
				believed++
			}
			wait(2 * time.Second)
		}
		if believed > 0 {
			t.Errorf("believed in %d of 60 looks", believed)
		}
	})
}
