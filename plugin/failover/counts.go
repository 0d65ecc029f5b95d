package failover

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/steer"
)

// cell counts the answers of a service from one region, by reason. It fills a
// cache line, so that two regions never share one.
type cell struct {
	n [steer.NumReasons]atomic.Uint64
	_ [64 - 8*(steer.NumReasons%8)]byte
}

// owner is whose answers a cell counts. Region is noRegion for answers that came
// from no single pool.
type owner struct{ service, region string }

const noRegion = "none"

// counts finds the cells of one plan by index, for queries.
type counts struct {
	plan   *plan.Plan
	traits []trait // by service
	first  []int32 // by service: its cells; one for each pool, and one for none
	cells  []*cell
	owned  []owned // each cell once, for a scrape
}

// owned is a cell and whose it is.
type owned struct {
	owner
	*cell
}

// ledger has every cell that ever counted. A service that leaves the plan and
// comes back goes on counting, and sums over services never go back.
type ledger struct {
	mu    sync.Mutex // guards what follows
	cells map[owner]*cell
}

// open makes the counts of a plan from the cells that there are, and new ones.
func (l *ledger) open(p *plan.Plan) *counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cells == nil {
		l.cells = map[owner]*cell{}
	}
	c := &counts{plan: p}
	for i := range p.Steer.Services {
		s := &p.Steer.Services[i]
		c.traits = append(c.traits, traitOf(p, int32(i)))
		name := strings.TrimSuffix(s.Name, ".")
		c.first = append(c.first, int32(len(c.cells)))
		for n := range s.Pools {
			c.add(l, owner{name, p.Steer.Regions[s.Pools[n].Region].Name})
		}
		c.add(l, owner{name, noRegion})
	}
	l.prune(c)
	return c
}

// add appends the cell of an owner. Two pools of one service in one region share
// it.
func (c *counts) add(l *ledger, o owner) {
	own, known := l.cells[o], false
	if own == nil {
		own = new(cell)
		l.cells[o] = own
	}
	for _, x := range c.cells[c.first[len(c.first)-1]:] {
		known = known || x == own
	}
	c.cells = append(c.cells, own)
	if !known {
		c.owned = append(c.owned, owned{o, own})
	}
}

// spareCells is how many cells of services that are no more are kept besides as
// many as there are services now.
const spareCells = 10_000

// prune keeps the ledger from growing for ever where services come and go: their
// cells are added up by region once there are too many of them.
func (l *ledger) prune(c *counts) {
	if len(l.cells) <= 2*len(c.owned)+spareCells {
		return
	}
	kept := make(map[owner]*cell, len(c.owned))
	for _, o := range c.owned {
		kept[o.owner] = o.cell
	}
	for o, was := range l.cells {
		if kept[o] == was {
			continue
		}
		gone := owner{region: o.region} // of no service
		if kept[gone] == nil {
			kept[gone] = new(cell)
		}
		for r := range was.n {
			kept[gone].n[r].Add(was.n[r].Load())
		}
	}
	l.cells = kept
}

// cell returns the cell of an owner, or nil if it has none.
func (l *ledger) cell(o owner) *cell {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cells[o]
}

// sums adds up the cells by region.
func (l *ledger) sums() map[string][steer.NumReasons]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][steer.NumReasons]uint64{}
	for o, c := range l.cells {
		n := out[o.region]
		for r := range c.n {
			n[r] += c.n[r].Load()
		}
		out[o.region] = n
	}
	return out
}

// trait is what each query must know of a service. All of them lie together: the
// services themselves are so large that to look at one costs a read of memory.
type trait uint8

const (
	flat   trait = 1 << iota // its names are answered as addresses
	single                   // it answers with one address at a time
	wild                     // it stands for names that do not exist
)

func traitOf(p *plan.Plan, i int32) (t trait) {
	if p.Config.Services[i].Flatten {
		t |= flat
	}
	if p.Steer.Services[i].Policy == steer.Weighted {
		t |= single
	}
	if strings.HasPrefix(p.Config.Services[i].Name, "*.") {
		t |= wild
	}
	return t
}

// trait returns the traits of a service.
func (s *shared) trait(pub *engine.Published, i int32) trait {
	if c := s.counts.Load(); c != nil && c.plan == pub.Plan {
		return c.traits[i]
	}
	return traitOf(pub.Plan, i)
}

// count counts one answer.
func (s *shared) count(pub *engine.Published, i int32, d *steer.Decision) {
	c := s.counts.Load()
	if c == nil || c.plan != pub.Plan {
		s.countElsewhere(pub, i, d)
		return
	}
	c.cells[c.at(i, d)].n[d.Reason].Add(1)
}

func (c *counts) at(i int32, d *steer.Decision) int32 {
	if d.Pool >= 0 {
		return c.first[i] + int32(d.Pool)
	}
	return c.first[i] + int32(len(c.plan.Steer.Services[i].Pools))
}

// countElsewhere counts the first answers of a plan, for which it makes the
// counts, and the last ones of the plan before, which must not take them back.
func (s *shared) countElsewhere(pub *engine.Published, i int32, d *steer.Decision) {
	if s.load().Plan == pub.Plan {
		c := s.recount(pub)
		c.cells[c.at(i, d)].n[d.Reason].Add(1)
		return
	}
	p := pub.Plan.Steer
	o := owner{strings.TrimSuffix(p.Services[i].Name, "."), noRegion}
	if d.Pool >= 0 {
		o.region = p.Regions[d.Region].Name
	}
	if c := s.ledger.cell(o); c != nil {
		c.n[d.Reason].Add(1)
	}
}

// recount makes the counts of a plan, once.
func (s *shared) recount(pub *engine.Published) *counts {
	s.recounting.Lock()
	defer s.recounting.Unlock()
	c := s.counts.Load()
	if c == nil || c.plan != pub.Plan {
		c = s.ledger.open(pub.Plan)
		s.counts.Store(c)
	}
	return c
}
