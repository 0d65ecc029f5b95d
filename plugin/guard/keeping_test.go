package guard

import (
	"log/slog"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/exchange"
	"github.com/detour-dns/detour/internal/guard"
)

// TestAThiefEndsNoKeeping holds that a resolver which joins while all is well stands in
// as its neighbors do, though an observer of another zone says that the name has failed
// since 1970.
func TestAThiefEndsNoKeeping(t *testing.T) {
	for _, thieves := range []bool{false, true} {
		inFleet(t, plainConf, func(s *fleet) {
			a, enda := s.join("a", "z1")
			b, endb := s.join("b", "z1")
			a.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
			for range 20 {
				a.ask(api, dns.TypeA)
				b.ask(api, dns.TypeA)
				wait(12 * time.Second)
			}
			wait(10 * time.Minute)
			thief := exchange.New(exchange.Options{At: &seat{shelf: s.shelf, zone: "z9"}, Self: "thief", Zone: func() []string { return nil }, Log: slog.New(slog.DiscardHandler)})
			if thieves {
				now := guard.At(time.Now())
				thief.Leave(guard.Shared{Block: ".:53/", Name: api, Known: guard.Name{V4: guard.Kept{Good: now, TTL: 5, Bad: 1, Members: []guard.Member{
					{IP: addr(t, "203.0.113.66"), First: now.Add(-time.Hour), Last: now, Times: 3},
				}}}})
				wait(10 * time.Second)
			}
			c, endc := s.join("c", "z1")
			wait(time.Minute)
			a.below.set(api+" A", nodata)
			m := c.ask(api, dns.TypeA)
			if got := answers(m); len(got) != 1 {
				t.Errorf("thief %v: the new resolver answers %s %v", thieves, dns.RcodeToString[m.Rcode], got)
			}
			wait(20 * time.Second)
			m = c.ask(api, dns.TypeA)
			if got := answers(m); len(got) != 1 {
				t.Errorf("thief %v: 20 s later %s %v", thieves, dns.RcodeToString[m.Rcode], got)
			}
			thief.Close()
			for _, end := range []func(){enda, endb, endc} {
				end()
			}
		})
	}
}
