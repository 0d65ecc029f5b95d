package guard

import (
	"log/slog"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/exchange"
	"github.com/detour-dns/detour/internal/guard"
)

// TestAThiefRevivesNothing holds that whoever has one observer's token brings no address
// in, neither one that was refuted here nor one that nobody here knows, however often it
// is called proven.
func TestAThiefRevivesNothing(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		all, ends := s.outage(1)
		s.serve(all, time.Minute, "192.0.2.1")
		s.first.back.set("192.0.2.1", s.first.ca.issue(t, "shop.other.example"))
		wait(6 * time.Minute)
		s.serve(all, 5*time.Second)
		thief := exchange.New(exchange.Options{At: &seat{shelf: s.shelf, zone: "z1"}, Self: "thief", Zone: func() []string { return nil }, Log: slog.New(slog.DiscardHandler)})
		b, end := s.join("b", "z1") // knows nothing
		for range 12 * 6 {
			now := guard.At(time.Now())
			lie := guard.Shared{Block: ".:53/", Name: api, Known: guard.Name{Proves: true, V4: guard.Kept{Good: now, TTL: 5, Chain: []string{"evil.example."}}}}
			for _, ip := range []string{"192.0.2.1", "203.0.113.66"} {
				lie.Known.V4.Members = append(lie.Known.V4.Members, guard.Member{
					IP: addr(t, ip), First: now.Add(-time.Hour), Last: now, Times: 3, Was: guard.Proven, Proved: now, Own: now,
				})
			}
			thief.Leave(lie)
			wait(10 * time.Minute)
			s.serve(append(all, b), 5*time.Second)
		}
		thief.Close()
		for _, end := range append(ends, end) {
			end()
		}
	})
}
