package guard

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/exchange"
	"github.com/detour-dns/detour/internal/guard"
)

// lies makes an observer of a zone keep addresses of a name that are not the name's.
func (s *fleet) lies(zone, name string, ips ...string) (end func()) {
	s.Helper()
	thief := exchange.New(exchange.Options{
		At: &seat{shelf: s.shelf, zone: zone}, Self: "thief", Zone: func() []string { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	now := guard.At(time.Now())
	lie := guard.Shared{Block: ".:53/", Name: name, Known: guard.Name{V4: guard.Kept{Good: now, TTL: 5}}}
	for _, ip := range ips {
		lie.Known.V4.Members = append(lie.Known.V4.Members, guard.Member{IP: addr(s.T, ip), First: now.Add(-time.Hour), Last: now, Times: 3})
	}
	thief.Leave(lie)
	return thief.Close
}

// answers counts how often each address is answered in so many questions, one each 5 s,
// "" where none is.
func (w *world) answers(n int) map[string]int {
	w.Helper()
	out := map[string]int{}
	for range n {
		wait(5 * time.Second)
		m := w.ask(api, dns.TypeA)
		if len(m.Answer) == 0 {
			out[""]++
		}
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				out[a.A.String()]++
			}
		}
	}
	return out
}

// liars is the address of a machine of the thief's.
const liars = "203.0.113.66"

// TestALiarBringsNothingInByTCP holds that an address of one observer does not stand in
// because it accepts a connection, alone or beside what two honest ones keep.
func TestALiarBringsNothingInByTCP(t *testing.T) {
	for _, honest := range []int{0, 2} {
		inFleet(t, "guard api.cloud.example {\n proof tcp:443\n state off\n}", func(s *fleet) {
			ends := []func(){}
			if honest > 0 {
				_, ends = s.outage(honest)
			} else {
				_, end := s.join("a", "z2")
				ends = append(ends, end)
			}
			s.first.below.set(api+" A", nodata)
			s.first.back.act(liars, func(c net.Conn) { _ = c.Close() })
			ends = append(ends, s.lies("z1", api, liars))
			wait(5 * time.Second)
			d, end := s.join("d", "z1")
			ends = append(ends, end)
			if got := d.answers(60); got[liars] > 0 || honest > 0 && got[""] > 0 {
				t.Errorf("%d honest: %v", honest, got)
			}
			for _, end := range ends {
				end()
			}
		})
	}
}

// TestALiarKeepsOutNoOtherZone holds that one observer of this zone does not keep out
// what another zone keeps.
func TestALiarKeepsOutNoOtherZone(t *testing.T) {
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("198.51.%d.1", i)
	}
	for _, lie := range [][]string{{"10.0.0.1"}, many} {
		inFleet(t, tlsConf, func(s *fleet) {
			_, ends := s.outage(2)
			ends = append(ends, s.lies("z2", api, lie...))
			wait(5 * time.Second)
			d, end := s.join("d", "z2")
			ends = append(ends, end)
			d.answers(36) // three minutes
			if got := d.answers(60); got["192.0.2.1"] != 60 {
				t.Errorf("%d lies: %v", len(lie), got)
			}
			for _, end := range ends {
				end()
			}
		})
	}
}

// TestALiarMakesNobodyDeaf holds that lies about one name, which answer, do not have the
// silent addresses of another one left out.
func TestALiarMakesNobodyDeaf(t *testing.T) {
	const other = "other.cloud.example."
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("198.51.%d.1", i)
	}
	inFleet(t, "guard api.cloud.example "+other+" {\n proof tls\n state off\n}", func(s *fleet) {
		all, ends := s.outage(1)
		all[0].below.set(other+" A", nodata)
		s.first.back.hush("192.0.2.1") // the way to the region is broken here
		ends = append(ends, s.lies("z1", other, many...))
		for range 60 {
			wait(5 * time.Second)
			all[0].ask(other, dns.TypeA)
			all[0].want(all[0].ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		}
		if made := all[0].back.made(); !slices.ContainsFunc(made, func(d dial) bool { return d.to != addr(t, "192.0.2.1") }) {
			t.Errorf("no lie was asked: %v", made)
		}
		for _, end := range ends {
			end()
		}
	})
}

// TestOneClientFillsHalfAPattern holds that names which one client alone asks for leave
// half of a pattern to those of two.
func TestOneClientFillsHalfAPattern(t *testing.T) {
	inWorld(t, "guard {\n state off\n proof age\n pattern *.cloud.example 20\n}", func(w *world) {
		for i := range 20 {
			n := fmt.Sprintf("x%d.cloud.example.", i)
			w.below.set(n+" A", has(n+" 5 IN A 192.0.2.9"))
			for range 10 {
				w.ask(n, dns.TypeA)
			}
		}
		if n := len(w.g.table.all()); n != 10 {
			t.Errorf("one client took %d of 20 places", n)
		}
		const login = "login.cloud.example."
		w.below.set(login+" A", has(login+" 5 IN A 192.0.2.1"))
		w.via(&test.ResponseWriter{RemoteIP: "10.240.0.2"}, new(dns.Msg).SetQuestion(login, dns.TypeA))
		w.learn(login, time.Minute)
		w.below.set(login+" A", nodata)
		w.want(w.ask(login, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
	})
}

// TestALiarWhoSpeaksFirst holds that a resolver whose own DNS fails is answered what two of its
// zone learn and keep, after a liar lent it as many addresses as there is room for.
func TestALiarWhoSpeaksFirst(t *testing.T) {
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprintf("198.51.%d.1", i)
	}
	for _, lie := range [][]string{{"198.51.100.1"}, many} {
		inFleet(t, tlsConf, func(s *fleet) {
			ends := []func(){s.lies("z1", api, lie...)}
			d, end := s.join("d", "z1")
			ends = append(ends, end)
			d.back.set("192.0.2.1", d.ca.issue(s.T, "api.cloud.example"))
			d.below.set(api+" A", nodata)
			d.answers(12)
			var all []*world // they know the name from their own DNS
			for _, name := range []string{"a", "b"} {
				w, end := s.join(name, "z1")
				ends = append(ends, end)
				w.below = newScript()
				w.g.Next = w.below
				w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
				all = append(all, w)
			}
			for range 20 {
				for _, w := range all {
					w.ask(api, dns.TypeA)
				}
				wait(20 * time.Second)
			}
			wait(15 * time.Minute)
			if got := d.answers(60); got["192.0.2.1"] != 60 {
				t.Errorf("%d lies: %v", len(lie), got)
			}
			for _, end := range ends {
				end()
			}
		})
	}
}
