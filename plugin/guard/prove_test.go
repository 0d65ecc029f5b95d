package guard

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

const tlsConf = "guard api.cloud.example {\n state off\n}"

// TestOneHandshakeWhileHealthy holds that a name proves itself once, soon after it
// was learned, and is then guarded from its first answer on.
func TestOneHandshakeWhileHealthy(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.ask(api, dns.TypeA)
		wait(time.Second)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, 48*time.Hour)
		if n := len(w.back.made()); n > 2 { // the trial, and at most one in the outage's first seconds
			t.Fatalf("%d handshakes with a name that is well", n)
		}
	})
}

// TestProvenNamesStayForADay holds that proven members stand in for 24 h, and that
// they are asked rarely.
func TestProvenNamesStayForADay(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		before := len(w.back.made())
		for range 24 * 60 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(time.Minute - time.Second)
		}
		if n := len(w.back.made()) - before; n < 24*60/6 || n > 24*60/4 {
			t.Errorf("%d proofs in a day", n)
		}
		wait(30 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
	})
}

// TestARefutedMemberIsLeftOut holds that an address that became another's, or
// refuses, is not answered, and that the truth goes through when none is left.
func TestARefutedMemberIsLeftOut(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		mine, other := w.ca.issue(t, "api.cloud.example"), w.ca.issue(t, "shop.other.example")
		w.back.set("192.0.2.1", mine)
		w.back.set("192.0.2.2", mine)
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1", api+" 5 IN A 192.0.2.2"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1", "192.0.2.2")
		w.back.set("192.0.2.2", other)
		wait(15 * time.Second)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.back.set("192.0.2.1", nil)
		wait(4 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
		w.back.set("192.0.2.1", mine)
		wait(6 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
	})
}

// TestSilenceIsNotRefutation holds that when nothing answers our proofs, it is
// our path that is broken, and everything stays.
func TestSilenceIsNotRefutation(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.back.hush("192.0.2.1")
		for range 12 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(5 * time.Minute)
		}
	})
}

// TestAllReset holds that members of which each resets all connections, as overloaded
// balancers do, stay for an hour and longer with a TTL of 5 s, and are gone after four;
// and that one of them ends 15 minutes after its last proof when the other is well.
func TestAllReset(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		both := []string{"192.0.2.1", "192.0.2.2"}
		for _, ip := range both {
			w.back.set(ip, mine)
		}
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1", api+" 5 IN A 192.0.2.2"))
		w.learn(api, 2*time.Minute)
		w.below.set(api+" A", nodata)
		for _, ip := range both {
			w.back.act(ip, func(net.Conn) {})
		}
		w.ask(api, dns.TypeA)
		wait(15 * time.Second)
		for range 60 {
			m := w.ask(api, dns.TypeA)
			if w.want(m, dns.RcodeSuccess, both...); m.Answer[0].Header().Ttl != faint {
				t.Fatalf("%v", m.Answer)
			}
			wait(time.Minute)
		}
		w.back.set("192.0.2.1", mine)
		wait(6 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.back.act("192.0.2.1", func(net.Conn) {})
		for range 5 * 60 {
			w.ask(api, dns.TypeA)
			wait(time.Minute)
		}
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
	})
}

// TestAReusedAddressIsOut holds that an address that speaks SSH by now is out within the
// spread of proofs and ten seconds, among good ones and alone.
func TestAReusedAddressIsOut(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		ssh := func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n")) }
		w.back.set("192.0.2.1", mine)
		w.back.set("198.51.100.2", mine)
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1", api+" 5 IN A 198.51.100.2"))
		w.learn(api, 2*time.Minute)
		w.below.set(api+" A", nodata)
		w.back.act("198.51.100.2", ssh)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1", "198.51.100.2")
		w.back.forget()
		wait(guard.Spread + guard.Twice)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		if n := len(w.back.made()); n != 3 {
			t.Errorf("%d proofs, want one of the good one and two of the other", n)
		}
		w.back.act("192.0.2.1", ssh)
		wait(5 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
		list, _ := w.at.Report(1000)
		for _, m := range list[0].Members {
			if m.Proof != guard.Refuted || m.Why != guard.OtherText {
				t.Errorf("%v: %v (%v)", m.IP, m.Proof, m.Why)
			}
		}
	})
}

// TestAWildcardProvesTheEdgeOnly holds that a certificate that names the host by a
// wildcard proves nothing of the tenant.
func TestAWildcardProvesTheEdgeOnly(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "*.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.ask(api, dns.TypeA)
		wait(time.Second)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
	})
}

// TestAHijackIsRefused holds that with `change` an address of another place that
// shows another certificate does not replace the members, and that a real move is
// believed after its proof.
func TestAHijackIsRefused(t *testing.T) {
	conf := "guard api.cloud.example {\n state off\n on nodata change\n}"
	inWorld(t, conf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		w.back.set("192.0.2.1", mine)
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", has(api+" 5 IN A 203.0.113.66"))
		w.back.set("203.0.113.66", newAuthority(t).issue(t, "api.cloud.example"))
		for range 100 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(3 * time.Second)
		}
		w.below.set(api+" A", has(api+" 5 IN A 198.51.100.7"))
		w.back.set("198.51.100.7", mine)
		w.ask(api, dns.TypeA)
		wait(2 * recheck)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "198.51.100.7")
	})
}

// TestAStrangerMustProveItself holds that for a name that proves itself an address
// of another place which keeps silent is not believed, and that one which refuses
// is, for a name that never proved anything.
func TestAStrangerMustProveItself(t *testing.T) {
	conf := "guard api.cloud.example {\n state off\n on nodata change\n}"
	inWorld(t, conf, func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", has(api+" 5 IN A 203.0.113.66"))
		w.back.hush("203.0.113.66")
		for range 20 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(3 * time.Second)
		}
	})
	inWorld(t, conf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", has(api+" 5 IN A 198.51.100.7"))
		w.ask(api, dns.TypeA)
		wait(2 * recheck)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "198.51.100.7")
	})
}

// TestWhatJustMovedProvesItself holds that a name that moved half a minute before it
// fails is answered with its new addresses: they prove themselves while the first
// client waits.
func TestWhatJustMovedProvesItself(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		w.back.set("192.0.2.1", mine)
		w.back.set("192.0.2.2", mine)
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1", api+" 5 IN A 192.0.2.2"))
		w.learn(api, 2*time.Minute)
		w.below.set(api+" A", has(api+" 5 IN A 198.51.100.7"))
		w.back.set("198.51.100.7", mine)
		w.ask(api, dns.TypeA)
		w.back.set("192.0.2.1", nil)
		w.back.set("192.0.2.2", nil)
		w.below.set(api+" A", nodata)
		begun := time.Now()
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "198.51.100.7")
		if d := time.Since(begun); d > newcomerWait {
			t.Errorf("the client waited %v", d)
		}
	})
}

// TestARotatingPoolProvesItself holds that of a pool of which the last answer was
// hardly seen before, all of that answer stands in.
func TestARotatingPoolProvesItself(t *testing.T) {
	inWorld(t, tlsConf, func(w *world) {
		mine := w.ca.issue(t, "api.cloud.example")
		for turn := range 10 {
			var records []string
			for i := range 4 {
				ip := fmt.Sprintf("192.0.%d.%d", i, turn+1)
				w.back.set(ip, mine)
				records = append(records, api+" 5 IN A "+ip)
			}
			w.below.set(api+" A", has(records...))
			w.ask(api, dns.TypeA)
			wait(5 * time.Second)
		}
		w.below.set(api+" A", nodata)
		if got := len(w.ask(api, dns.TypeA).Answer); got != 4 {
			t.Errorf("%d addresses stand in, want the 4 of the last answer", got)
		}
	})
}

// TestTheBudgetHolds counts, at the backends, the handshakes of 50 resolvers with
// 200 names that fail at once: thousands of resolvers must not become the storm on
// a region that tries to get up.
func TestTheBudgetHolds(t *testing.T) {
	const names, minutes = 200, 1
	resolvers := 50
	if testing.Short() {
		resolvers = 5
	}
	conf := "guard " + strings.Join(manyNames(names), " ") + " {\n state off\n}"
	inWorld(t, conf, func(w *world) {
		all := []*world{w}
		for range resolvers - 1 {
			more := &world{T: t, below: w.below, ca: w.ca, back: &backends{certs: w.back.certs, silent: w.back.silent}, at: newBureau()}
			more.g = more.guard(conf)
			defer more.end()
			all = append(all, more)
		}
		_, list := w.learnMany(names)
		for _, more := range all[1:] {
			for _, n := range list {
				more.ask(n, dns.TypeA)
			}
		}
		wait(5 * time.Minute)
		for _, r := range all {
			r.back.forget()
		}
		for _, n := range list {
			w.below.set(n+" A", nodata)
		}
		for range 2 * minutes {
			for _, r := range all {
				for _, n := range list {
					if m := r.ask(n, dns.TypeA); len(m.Answer) != 1 {
						t.Fatalf("%s is not answered: %v", n, m)
					}
				}
			}
			wait(30 * time.Second)
		}
		total := 0
		for _, r := range all {
			total += r.back.within(t, names)
		}
		t.Logf("%d resolvers x %d names: %d handshakes in the first minute", resolvers, names, total)
		if most := resolvers * 5 * 60 * minutes; total > most {
			t.Errorf("%d handshakes, at most %d", total, most)
		}
	})
}

// within fails the test if more than five handshakes began within a second, or two
// in one /24, or fewer than least in all. It returns how many there were.
func (b *backends) within(t *testing.T, least int) int {
	t.Helper()
	made := b.made()
	if len(made) < least {
		t.Errorf("%d proofs, want %d", len(made), least)
	}
	for i := range made {
		inAll, inNet := 0, 0
		for _, d := range made[i:] {
			if d.at.Sub(made[i].at) >= time.Second {
				break
			}
			inAll++
			if place24(d.to) == place24(made[i].to) {
				inNet++
			}
		}
		if inAll > 5 || inNet > 1 {
			t.Fatalf("%d handshakes within a second, %d in one /24", inAll, inNet)
		}
	}
	return len(made)
}

// TestPatternsStandInOnlySoFar holds that of the names that patterns found a
// quarter, or 100, stand in at a time.
func TestPatternsStandInOnlySoFar(t *testing.T) {
	conf := "guard {\n state off\n pattern *.cloud.example 400\n}"
	inWorld(t, conf, func(w *world) {
		_, names := w.learnMany(200)
		stood := 0
		for _, n := range names {
			w.below.set(n+" A", nodata)
			stood += len(w.ask(n, dns.TypeA).Answer)
		}
		if stood != 100 {
			t.Errorf("%d names of a pattern stand in, want 100", stood)
		}
	})
}
