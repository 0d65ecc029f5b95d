package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// withError adds an extended error to replies to clients with EDNS.
func withError(code uint16, f func(*dns.Msg) *dns.Msg) func(*dns.Msg) *dns.Msg {
	return func(r *dns.Msg) *dns.Msg {
		m := f(r)
		if r.IsEdns0() != nil {
			m.SetEdns0(1232, r.IsEdns0().Do())
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code}}
		}
		return m
	}
}

// addressIn is the first address of a reply, or its rcode.
func addressIn(m *dns.Msg) string {
	for _, rr := range m.Answer {
		if ip, ok := address(rr); ok {
			return ip.String()
		}
	}
	return dns.RcodeToString[m.Rcode]
}

// lasts is how long a family is answered with what is kept, asked every ten seconds, a day
// and a half at most.
func (w *world) lasts(qtype uint16, kept string) time.Duration {
	begun := time.Now()
	for time.Since(begun) < 36*time.Hour && addressIn(w.ask(api, qtype)) == kept {
		if qtype == dns.TypeAAAA {
			w.ask(api, dns.TypeA)
		}
		wait(10 * time.Second)
	}
	return time.Since(begun)
}

// TestGoodAnswersThatAreNotLearned holds that a failure ends, with what is kept, when the
// name's DNS answers again what may not be kept; but not with one such answer.
func TestGoodAnswersThatAreNotLearned(t *testing.T) {
	moved := has(api + " 60 IN A 192.0.2.9")
	for what, say := range map[string]func(*dns.Msg) *dns.Msg{
		"stale": withError(3, moved), "cached error": withError(13, moved), "no authority": withError(22, moved), "synthesized": withError(29, moved),
		"blocked": has(api + " 60 IN A 0.0.0.0"), "loopback": has(api + " 60 IN A 127.0.0.1"), "metadata": has(api + " 60 IN A 169.254.169.254"),
		"one link-local of two": has(api+" 60 IN A 203.0.113.9", api+" 60 IN A 169.254.0.9"),
	} {
		for _, proven := range []bool{false, true} {
			inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
				if proven {
					w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
				}
				w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
				w.learn(api, 2*time.Minute)
				w.below.set(api+" A", servfail)
				w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
				wait(time.Minute)
				w.below.set(api+" A", say)
				if d := w.lasts(dns.TypeA, "192.0.2.1"); d < 10*time.Second || d > 30*time.Second {
					t.Errorf("%s, proven %v: what was kept was answered for %v after the repair", what, proven, d)
				}
			})
		}
	}
}

// cnames are n CNAMEs that lead from the name to end.
func cnames(n int) (rrs []string, end string) {
	end = api
	for i := range n {
		next := fmt.Sprintf("c%d.cdn.example.", i)
		rrs = append(rrs, end+" 60 IN CNAME "+next)
		end = next
	}
	return rrs, end
}

// TestALongChainIsPassedOn holds that a good answer by more CNAMEs than are kept is an
// answer; and that one that goes round is none.
func TestALongChainIsPassedOn(t *testing.T) {
	inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		w.learn(api, 2*time.Minute)
		rs, owner := cnames(12)
		w.below.set(api+" A", has(append(rs, owner+" 60 IN A 192.0.2.9")...))
		if got := addressIn(w.ask(api, dns.TypeA)); got != "192.0.2.9" {
			t.Errorf("by twelve CNAMEs: %s", got)
		}
		w.below.set(api+" A", has(append(rs, owner+" 60 IN CNAME "+api)...))
		if got := addressIn(w.ask(api, dns.TypeA)); got != "192.0.2.1" {
			t.Errorf("in a circle: %s", got)
		}
	})
}

// askDO asks for A as a validator does.
func (w *world) askDO() *dns.Msg {
	return w.send(new(dns.Msg).SetQuestion(api, dns.TypeA).SetEdns0(1232, true))
}

// askEDNS asks for A as most clients do.
func (w *world) askEDNS() *dns.Msg {
	return w.send(new(dns.Msg).SetQuestion(api, dns.TypeA).SetEdns0(1232, false))
}

// TestOneLieOfSignatures holds that neither an AD bit nor a signature that came once, nor a
// zone that is signed no longer, takes the bridge from clients with DO; and that what was
// validated time and again does.
func TestOneLieOfSignatures(t *testing.T) {
	good := has(api + " 60 IN A 192.0.2.1")
	validated := func(r *dns.Msg) *dns.Msg { m := good(r); m.AuthenticatedData = true; return m }
	signed := has(api+" 60 IN A 192.0.2.1", rrsig(time.Hour))
	for _, c := range []struct {
		what  string
		lie   func(*dns.Msg) *dns.Msg
		times int
		after int // questions with DO that are answered without
		stood bool
	}{
		{"an AD bit", validated, 1, 0, true},
		{"an AD bit, healed", validated, 1, 10, true},
		{"signatures once", signed, 1, 10, true},
		{"signed for long, then not", signed, 100, 10, true},
		{"validated for long, then not", validated, 100, 10, true},
		{"validated to the end", validated, 100, 0, false},
		{"validated, one reply without", validated, 100, 1, false},
	} {
		inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
			w.below.set(api+" A", good)
			w.learn(api, 2*time.Minute)
			w.below.set(api+" A", c.lie)
			for range c.times {
				w.askDO()
				wait(70 * time.Second)
			}
			w.below.set(api+" A", good)
			for range c.after {
				w.askDO()
				wait(70 * time.Second)
			}
			w.below.set(api+" A", servfail)
			if m := w.askDO(); (addressIn(m) == "192.0.2.1") != c.stood {
				t.Errorf("%s: %v", c.what, m)
			}
		})
	}
}

// TestWithdrawnIsSeen holds how soon IPv6 that its owner took away ends: whatever TTLs IPv4
// had before, and behind a cache whose lifetimes count down, within one of them.
func TestWithdrawnIsSeen(t *testing.T) {
	for _, long := range []int{60, 86400, 1<<31 - 1} {
		inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
			w.below.set(api+" A", has(fmt.Sprintf("%s %d IN A 192.0.2.1", api, long)))
			w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
			for range 5 {
				w.learn(api, time.Minute)
				w.ask(api, dns.TypeAAAA)
			}
			w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
			for range 2 * 60 {
				w.ask(api, dns.TypeA)
				w.ask(api, dns.TypeAAAA)
				wait(time.Minute)
			}
			w.below.set(api+" AAAA", nodata)
			if d := w.lasts(dns.TypeAAAA, "2001:db8::1"); d > time.Minute {
				t.Errorf("TTL %d before: IPv6 was answered for %v", long, d)
			}
		})
	}
	for _, ttl := range []int{60, 300} {
		inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
			begun := time.Now()
			down := func(rr string) func(*dns.Msg) *dns.Msg {
				return func(r *dns.Msg) *dns.Msg {
					return has(fmt.Sprintf(rr, api, ttl-int(time.Since(begun).Seconds()+float64(ttl)/3)%ttl))(r)
				}
			}
			for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
				w.back.set(ip, w.ca.issue(t, "api.cloud.example"))
			}
			w.below.set(api+" A", down("%s %d IN A 192.0.2.1"))
			w.below.set(api+" AAAA", down("%s %d IN AAAA 2001:db8::1"))
			for range 60 {
				w.ask(api, dns.TypeA)
				w.ask(api, dns.TypeAAAA)
				wait(30*time.Second + 137*time.Millisecond)
			}
			w.below.set(api+" AAAA", nodata)
			if d := w.lasts(dns.TypeAAAA, "2001:db8::1"); d > time.Duration(ttl)*time.Second+30*time.Second {
				t.Errorf("TTL %d behind a cache: IPv6 was answered for %v", ttl, d)
			}
		})
	}
}

// TestOneFamilyTakesNoProof holds that IPv4 proves itself while IPv6, of which somebody lied
// once, is believed to fail.
func TestOneFamilyTakesNoProof(t *testing.T) {
	inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
		w.below.set(api+" A", has(api+" 2147483647 IN A 192.0.2.1"))
		w.ask(api, dns.TypeA)
		w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::666"))
		w.ask(api, dns.TypeAAAA)
		w.below.set(api+" AAAA", nodata)
		w.ask(api, dns.TypeAAAA)
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		for range 30 {
			w.ask(api, dns.TypeA)
			w.ask(api, dns.TypeAAAA)
			wait(time.Minute)
		}
		w.below.set(api+" A", servfail)
		if d := w.lasts(dns.TypeA, "192.0.2.1"); d < 23*time.Hour {
			t.Errorf("IPv4 stood in for %v, want a day", d)
		}
	})
}

// TestOldAddressesStayOut holds that what nobody asked for in a week does not stand in.
func TestOldAddressesStayOut(t *testing.T) {
	for days, want := range map[int]string{6: "2001:db8::1", 8: "SERVFAIL"} {
		inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
			w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
			w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
			for range 5 {
				w.ask(api, dns.TypeA)
				w.ask(api, dns.TypeAAAA)
				wait(20 * time.Second)
			}
			for range days {
				w.ask(api, dns.TypeA)
				wait(24 * time.Hour)
			}
			w.below.set(api+" A", servfail)
			w.below.set(api+" AAAA", servfail)
			if got := addressIn(w.ask(api, dns.TypeAAAA)); got != want {
				t.Errorf("after %d days: %s, want %s", days, got, want)
			}
			if got := addressIn(w.ask(api, dns.TypeA)); got != "192.0.2.1" {
				t.Errorf("after %d days, asked for daily: %s", days, got)
			}
		})
	}
}

// TestAViewHasItsChain holds that the chain of one view never leads to addresses of another.
func TestAViewHasItsChain(t *testing.T) {
	inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
		w.below.set(api+" A", has(api+" 60 IN A 10.0.0.1"))
		w.learn(api, 5*time.Minute)
		w.below.set(api+" A", has(api+" 60 IN CNAME edge.cdn.example.", "edge.cdn.example. 60 IN A 203.0.113.1"))
		w.ask(api, dns.TypeA)
		wait(time.Second)
		w.below.set(api+" A", servfail)
		if m := w.ask(api, dns.TypeA); len(m.Answer) != 1 || m.Answer[0].Header().Name != api || addressIn(m) != "10.0.0.1" {
			t.Errorf("%v", m.Answer)
		}
	})
}

// TestAFamilyThatIsNotThere holds that clients of a name without IPv6 wait for nothing while
// its IPv4 stands in; that this ends with the failure; and that nothing
// is said of a family that was never asked for.
func TestAFamilyThatIsNotThere(t *testing.T) {
	for what, how := range map[string]func(*dns.Msg) *dns.Msg{"servfail": servfail, "silence": nil} {
		for _, asked := range []bool{true, false} {
			inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
				w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
				w.below.set(api+" AAAA", nodata)
				w.learn(api, 2*time.Minute)
				if asked {
					w.ask(api, dns.TypeAAAA)
				}
				w.below.set(api+" A", how)
				w.below.set(api+" AAAA", how)
				w.ask(api, dns.TypeA)
				wait(time.Minute)
				begun := time.Now()
				m := w.ask(api, dns.TypeAAAA)
				if quick := time.Since(begun) == 0; asked && (m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 || !quick) || !asked && m.Rcode == dns.RcodeSuccess {
					t.Errorf("%s, asked before %v: %v after %v", what, asked, m, time.Since(begun))
				}
				w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
				w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
				wait(10 * time.Second)
				if got := addressIn(w.ask(api, dns.TypeAAAA)); got != "2001:db8::1" {
					t.Errorf("%s: after the repair: %s", what, got)
				}
			})
		}
	}
}

// TestKeepHoldsOverRelief holds that what is kept stands in no longer because its name's DNS
// now and then says what is not learned.
func TestKeepHoldsOverRelief(t *testing.T) {
	moved := has(api + " 60 IN A 192.0.2.9")
	for what, c := range map[string]struct{ fail, say func(*dns.Msg) *dns.Msg }{
		"stale beside NXDOMAIN":    {nxdomain, withError(3, moved)},
		"no authority, SERVFAIL":   {servfail, withError(22, moved)},
		"a filter beside NXDOMAIN": {nxdomain, has(api + " 60 IN A 0.0.0.0")},
	} {
		inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
			w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
			w.learn(api, 2*time.Minute)
			begun := time.Now()
			last := begun
			for i := range 3 * 360 {
				if w.below.set(api+" A", c.fail); i%6 < 2 {
					w.below.set(api+" A", c.say)
				}
				if addressIn(w.askEDNS()) == "192.0.2.1" {
					last = time.Now()
				}
				wait(10 * time.Second)
			}
			if d := last.Sub(begun); d > 18*time.Minute {
				t.Errorf("%s: what was kept was answered for %v", what, d)
			}
			w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
			w.learn(api, 2*time.Minute)
			w.below.set(api+" A", c.fail)
			if got := addressIn(w.ask(api, dns.TypeA)); got != "192.0.2.1" {
				t.Errorf("%s: the next failure: %s", what, got)
			}
		})
	}
}

// TestOnChangeHoldsWhatIsNotLearned holds that other addresses wait for their proof also in
// answers that would not be kept.
func TestOnChangeHoldsWhatIsNotLearned(t *testing.T) {
	theft := api + " 60 IN A 203.0.113.66"
	chain, owner := cnames(9)
	for what, say := range map[string]func(*dns.Msg) *dns.Msg{
		"alone": has(theft), "by nine CNAMEs": has(append(chain, owner+" 60 IN A 203.0.113.66")...), "beside a loopback address": has(theft, api+" 60 IN A 127.0.0.1"),
		"beside a link-local one": has(theft, api+" 60 IN A 169.254.0.9"), "stale": withError(3, has(theft)),
	} {
		inWorld(t, "guard api.cloud.example {\n state off\n on nxdomain nodata servfail timeout change\n}", func(w *world) {
			w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
			w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
			w.learn(api, 5*time.Minute)
			w.below.set(api+" A", say)
			for range 60 {
				if got := addressIn(w.askEDNS()); got != "192.0.2.1" {
					t.Errorf("%s: %s", what, got)
					break
				}
				wait(10 * time.Second)
			}
		})
	}
}

// TestAFamilyThatCame holds that a name which moves from IPv4 to IPv6 has its addresses
// within seconds, while its old ones stand in.
func TestAFamilyThatCame(t *testing.T) {
	inWorld(t, "guard api.cloud.example {\n state off\n}", func(w *world) {
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		w.below.set(api+" AAAA", nodata)
		w.learn(api, 2*time.Minute)
		w.ask(api, dns.TypeAAAA)
		w.below.set(api+" A", nodata)
		w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
		w.ask(api, dns.TypeA)
		wait(15 * time.Second)
		if got := addressIn(w.ask(api, dns.TypeAAAA)); got != "2001:db8::1" {
			t.Errorf("15 s later: %s", got)
		}
	})
}
