package steer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// The twin is the first Build's choice written a second time, slowly and after
// the words of docs/concepts.md, to be held against the real one.

// twinEndpoint ranks one endpoint.
func twinEndpoint(p *Plan, s *Service, pool *Pool, e *Endpoint, views []health.View, hands []Override, regionDown bool) Standing {
	if !e.Enabled {
		return None
	}
	kind, reserve, found := twinHand(p, s, pool, e, hands)
	if found && kind == Drain && !reserve {
		return None
	}
	v := views[e.Addrs[0].Checks[0]]
	st := Dark
	switch {
	case found && kind == ForceDown:
		return Dark
	case found && kind == ForceUp:
		st = Ready
	case v.Verdict == health.Up:
		st = Ready
	case v.Verdict == health.Unknown && !v.WasDown:
		st = Ready
		for i := range pool.Endpoints { // what was never heard of follows the rest of its pool
			o := &pool.Endpoints[i]
			if o.Enabled && views[o.Addrs[0].Checks[0]].Verdict == health.Down {
				st = Doubtful
			}
		}
		for i := range pool.Endpoints {
			if o := &pool.Endpoints[i]; o.Enabled && views[o.Addrs[0].Checks[0]].Verdict == health.Up {
				st = Ready
			}
		}
	case v.Verdict == health.Unknown:
		st = Doubtful
	case v.Cause.Sick():
		st = Sick
	}
	if found && kind == Drain && reserve {
		return min(st, Reserve)
	}
	if st == Ready && regionDown {
		return Held
	}
	return st
}

// twinHand finds the override that decides.
func twinHand(p *Plan, s *Service, pool *Pool, e *Endpoint, hands []Override) (kind OverrideKind, reserve, found bool) {
	best := -1
	for i := range hands {
		o := &hands[i]
		rank := 0
		switch o.Target {
		case p.Regions[pool.Region].Name:
			rank = 1
		case s.Name:
			rank = 2
		case s.Name + "/" + e.Label:
			rank = 3
		default:
			continue
		}
		if o.Kind == Drain {
			rank += 10
		}
		if o.Kind == Drain && !o.Reserve {
			rank += 10
		}
		if rank >= best { // of equals the youngest
			best, kind, reserve, found = rank, o.Kind, o.Reserve, true
		}
	}
	return kind, reserve, found
}

// twinSafe drops drains, the youngest first, until an endpoint is enabled.
func twinSafe(p *Plan, s *Service, views []health.View, hands []Override) []Override {
	hands = slices.Clone(hands)
	slices.SortFunc(hands, func(a, b Override) int { return a.Made.Compare(b.Made) })
	for {
		for i := range s.Pools {
			for j := range s.Pools[i].Endpoints {
				if twinEndpoint(p, s, &s.Pools[i], &s.Pools[i].Endpoints[j], views, hands, false) != None {
					return hands
				}
			}
		}
		last := -1
		for i := range hands {
			if touches := slices.ContainsFunc(s.Pools, func(pl Pool) bool {
				return slices.ContainsFunc(pl.Endpoints, func(e Endpoint) bool {
					_, _, f := twinHand(p, s, &pl, &e, hands[i:i+1])
					return f
				})
			}); touches && hands[i].Kind == Drain && !hands[i].Reserve {
				last = i
			}
		}
		if last < 0 {
			return hands
		}
		hands = slices.Delete(hands, last, last+1)
	}
}

// twin returns the addresses that may be answered.
func twin(p *Plan, s *Service, views []health.View, hands []Override, down []bool) []netip.Addr {
	hands = twinSafe(p, s, views, hands)
	var poolRank []float64
	var ends [][]Standing
	for i := range s.Pools {
		pool := &s.Pools[i]
		var st []Standing
		best, n, enabled := None, 0, 0
		for j := range pool.Endpoints {
			e := twinEndpoint(p, s, pool, &pool.Endpoints[j], views, hands, down[pool.Region])
			st = append(st, e)
			best = max(best, e)
		}
		for _, e := range st {
			if e == best {
				n++
			}
			if e != None {
				enabled++
			}
		}
		rank := float64(best)
		if best != None && float64(n) < float64(pool.MinHealthy)/100*float64(enabled) {
			rank -= 0.5
		}
		poolRank, ends = append(poolRank, rank), append(ends, st)
	}
	top := slices.Max(poolRank)
	var out []netip.Addr
	for i := range s.Pools {
		if poolRank[i] != top || top <= 0 {
			continue
		}
		best := slices.Max(ends[i])
		for j, e := range ends[i] {
			if e == best {
				out = append(out, s.Pools[i].Endpoints[j].Addrs[0].IP)
			}
		}
		if s.Policy == Failover {
			break
		}
	}
	return out
}

// chance makes random plans and worlds.
type chance struct{ *rand.Rand }

func (c chance) plan() *Plan {
	p := &Plan{Limits: Limits{RegionsOut: 50, MaxAnswers: 8}}
	for r := range 2 + c.IntN(3) {
		p.Regions = append(p.Regions, Region{Name: fmt.Sprintf("aws/r%d", r)})
	}
	for i := range 1 + c.IntN(5) {
		s := testService(fmt.Sprintf("s%d.test.", i))
		s.Policy = []Policy{Failover, All, Weighted}[c.IntN(3)]
		s.Monitors = fmt.Sprint(i % 2)
		for range 1 + c.IntN(3) {
			pool := Pool{Region: c.IntN(len(p.Regions)), MinHealthy: []int{0, 50, 100}[c.IntN(3)]}
			for range 1 + c.IntN(4) {
				ip := netip.AddrFrom4([4]byte{10, 0, byte(p.Checks >> 8), byte(p.Checks)})
				pool.Endpoints = append(pool.Endpoints, Endpoint{
					Label: ip.String(), Weight: 1 + c.IntN(3), Enabled: c.IntN(10) > 0,
					Addrs: []Addr{{IP: ip, Checks: []int32{int32(p.Checks)}}},
				})
				p.Checks++
			}
			s.Pools = append(s.Pools, pool)
		}
		p.Services = append(p.Services, s)
	}
	p.Index()
	return p
}

func (c chance) view() health.View {
	return []health.View{
		{Verdict: health.Up, WasUp: true},
		{Verdict: health.Up, WasUp: true},
		{Verdict: health.Unknown},
		{Verdict: health.Unknown, WasUp: true, WasDown: true},
		{Verdict: health.Down, WasUp: true, Cause: health.CauseTimeout},
		{Verdict: health.Down, WasUp: true, Cause: health.CauseStatus},
	}[c.IntN(6)]
}

func (c chance) views(p *Plan) []health.View {
	out := make([]health.View, p.Checks)
	for i := range out {
		out[i] = c.view()
	}
	return out
}

func (c chance) hands(p *Plan) []Override {
	var out []Override
	for i := range c.IntN(4) {
		s := &p.Services[c.IntN(len(p.Services))]
		pool := &s.Pools[c.IntN(len(s.Pools))]
		e := &pool.Endpoints[c.IntN(len(pool.Endpoints))]
		out = append(out, Override{
			Target:  []string{p.Regions[pool.Region].Name, s.Name, s.Name + "/" + e.Label}[c.IntN(3)],
			Kind:    []OverrideKind{Drain, Drain, ForceDown, ForceUp}[c.IntN(4)],
			Reserve: c.IntN(5) == 0, Made: t0.Add(time.Duration(i) * time.Second),
		})
	}
	return out
}

func TestBuildAgreesWithItsTwin(t *testing.T) {
	for seed := range uint64(3000) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		p := c.plan()
		views, hands := c.views(p), c.hands(p)
		s := Build(Input{Plan: p, Now: t0, Checks: views, Overrides: hands})
		down := make([]bool, len(p.Regions))
		for r := range down {
			down[r] = s.Regions[r].Down
		}
		for i := range p.Services {
			want := twin(p, &p.Services[i], views, hands, down)
			got := answerable(s, int32(i))
			if !slices.Equal(sorted(want), sorted(got)) {
				t.Fatalf("seed %d, %s (%s): answers %v, the twin says %v\noverrides %+v",
					seed, p.Services[i].Name, p.Services[i].Policy, sorted(got), sorted(want), hands)
			}
		}
	}
}

// answerable returns every address that some client may get.
func answerable(s *Snapshot, i int32) []netip.Addr {
	var out []netip.Addr
	for _, ch := range s.State(i).choices {
		for j := range ch.sets {
			for _, l := range ch.sets[j].v4.of {
				out = append(out, l.ip)
			}
		}
	}
	return out
}

func sorted(ips []netip.Addr) []netip.Addr {
	out := slices.Clone(ips)
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// TestStoriesKeepTheirPromises lets random things happen one after the other and
// holds every snapshot against what must always be so: the invariant of
// standings, an answer whatever operators do, and the same decisions whether
// built piece by piece, as a whole, or from what a restart kept.
func TestStoriesKeepTheirPromises(t *testing.T) {
	for seed := range uint64(300) {
		c := chance{rand.New(rand.NewPCG(seed, 2))}
		p := c.plan()
		views := c.views(p)
		var hands []Override
		piece := Build(Input{Plan: p, Now: t0, Checks: views})
		whole := piece
		now := t0
		for step := range 60 {
			now = now.Add(time.Duration(c.IntN(90)) * time.Second)
			var dirty []int32
			for range c.IntN(4) {
				at := int32(c.IntN(p.Checks))
				views[at] = c.view()
				views[at].Since = now
				dirty = append(dirty, p.ServicesOf(at)...)
			}
			all := c.IntN(10) == 0
			if all {
				hands = c.hands(p)
			}
			in := Input{Plan: p, Now: now, Checks: views, Prev: piece, Dirty: dirty, Overrides: hands, All: all}
			piece = Build(in)
			in.Prev, in.All = whole, true
			whole = Build(in)
			if piece.Hash() != whole.Hash() {
				t.Fatalf("seed %d, step %d: built by pieces %x, as a whole %x", seed, step, piece.Hash(), whole.Hash())
			}
			for i := range p.Services {
				if err := piece.State(int32(i)).Invariant(); err != nil {
					t.Fatalf("seed %d, step %d: %s: %v", seed, step, p.Services[i].Name, err)
				}
				if len(answerable(piece, int32(i))) == 0 && anyEnabledEndpoint(&p.Services[i]) {
					t.Fatalf("seed %d, step %d: %s has no answer", seed, step, p.Services[i].Name)
				}
			}
			sameAfterRestart(t, seed, step, piece, in)
		}
	}
}

func anyEnabledEndpoint(s *Service) bool {
	return slices.ContainsFunc(s.Pools, func(p Pool) bool {
		return slices.ContainsFunc(p.Endpoints, func(e Endpoint) bool { return e.Enabled })
	})
}

// sameAfterRestart: what a restart keeps leads to the same pools in use.
func sameAfterRestart(t *testing.T, seed uint64, step int, s *Snapshot, in Input) {
	t.Helper()
	kept := map[string]Memory{}
	for i := range s.Plan.Services {
		kept[s.Plan.Services[i].Name] = s.State(int32(i)).Memory
	}
	if slices.ContainsFunc(s.Regions, func(r RegionState) bool { return r.Down || r.Refused }) {
		return // region verdicts are found again from evidence, which takes a round
	}
	again := Build(Input{Plan: in.Plan, Now: in.Now, Checks: in.Checks, Kept: kept, Overrides: in.Overrides})
	for i := range s.Plan.Services {
		a, b := s.State(int32(i)).Memory.Used, again.State(int32(i)).Memory.Used
		if a != b {
			t.Fatalf("seed %d, step %d: %s used pools %b, after a restart %b", seed, step, s.Plan.Services[i].Name, a, b)
		}
	}
}
