package failover

import (
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/plan"
)

// answers returns how an engine finds which services are asked for here: from the
// counts that each answer adds to anyway.
func (s *shared) answers() engine.Answers {
	var room []uint64
	return func(p *plan.Plan, service int32) []uint64 {
		c := s.counts.Load()
		if c == nil || c.plan != p {
			if c = s.recount(s.load()); c.plan != p {
				return nil // nothing was answered from it yet
			}
		}
		room = room[:0]
		for n := range len(p.Steer.Services[service].Pools) + 1 {
			room = append(room, c.cells[c.first[service]+int32(n)].sum())
		}
		return room
	}
}

// sum is how many answers a cell counted.
func (c *cell) sum() (n uint64) {
	for r := range c.n {
		n += c.n[r].Load()
	}
	return n
}
