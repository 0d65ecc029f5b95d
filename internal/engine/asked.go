package engine

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/steer"
)

// askedFor is how long after an answer the pools that it could come from are probed
// here, whoever else probes them.
const askedFor = 10 * time.Minute

// Answers reports how often each pool of a service was answered from since the
// start, and last how often an answer came from no single one: as many numbers as
// the service has pools, and one. It is called on the engine's loop.
type Answers func(p *plan.Plan, service int32) []uint64

// asked is which pools were answered from here, and when. It is found by comparing
// counts once a second, so that no query has to say it. It belongs to one plan.
type asked struct {
	first []int       // by service: its pools' place in what follows; and one more
	count []uint64    // by pool
	at    []time.Time // by pool: when its count was last seen to grow
}

func newAsked(p *steer.Plan) asked {
	a := asked{first: make([]int, 1, len(p.Services)+1)}
	for i := range p.Services {
		a.first = append(a.first, a.first[i]+len(p.Services[i].Pools)+1)
	}
	n := a.first[len(p.Services)]
	a.count, a.at = make([]uint64, n), make([]time.Time, n)
	return a
}

// carry returns the same for another plan.
func (a *asked) carry(from, to *steer.Plan) asked {
	out := newAsked(to)
	for i := range to.Services {
		j, ok := from.Find(to.Services[i].Name)
		if !ok {
			continue
		}
		for n, t := range to.Services[i].Pools {
			was := slices.IndexFunc(from.Services[j].Pools, func(f steer.Pool) bool { return from.Regions[f.Region].Name == to.Regions[t.Region].Name })
			if was >= 0 {
				out.count[out.first[i]+n], out.at[out.first[i]+n] = a.count[a.first[j]+was], a.at[a.first[j]+was]
			}
		}
		out.count[out.first[i+1]-1], out.at[out.first[i+1]-1] = a.count[a.first[j+1]-1], a.at[a.first[j+1]-1]
	}
	return out
}

// Asked takes how often each pool was answered from. Where nothing counts that,
// counts is nil, and all may have been.
func (c *Core) Asked(counts Answers, now time.Time) {
	if c.council == nil || c.council.duty.team == nil {
		return
	}
	a := &c.council.duty.asked
	for s := range c.Plan.Steer.Services {
		if at, end := a.first[s], a.first[s+1]; counts == nil {
			a.at[end-1] = now
		} else {
			a.compare(at, counts(c.Plan, int32(s)), now)
		}
	}
}

// compare takes the counts of a service whose pools' place begins at an index.
func (a *asked) compare(first int, counts []uint64, now time.Time) {
	for n, count := range counts {
		if k := first + n; count != a.count[k] {
			a.count[k], a.at[k] = count, now
		}
	}
}

// needed finds the checks that are probed here whoever else probes them: canaries, which
// speak for whole regions, and of a service that was asked for lately those of the pools
// that it was answered from, that are in use, and that are next in line.
func (c *Core) needed(now time.Time) []bool {
	d := c.council.duty
	if d.needs == nil {
		d.needs = make([]bool, len(d.part))
	}
	clear(d.needs)
	if d.team == nil || c.snap == nil || c.snap.Plan != c.Plan.Steer {
		return d.needs
	}
	for r := range c.Plan.Steer.Regions {
		for _, i := range c.Plan.Steer.Regions[r].Canaries {
			d.needs[i] = true
		}
	}
	for s := range c.Plan.Steer.Services {
		pools, ok := d.asked.lately(s, now)
		if !ok {
			continue
		}
		need(d.needs, c.Plan.Steer.Services[s].Pools, pools|c.snap.InLine(int32(s)))
	}
	return d.needs
}

// lately returns, a bit for each, the pools that a service was lately answered
// from, ok if it was asked for at all.
func (a *asked) lately(service int, now time.Time) (pools uint64, ok bool) {
	for n, at := range a.at[a.first[service]:a.first[service+1]] {
		if !at.IsZero() && now.Sub(at) < askedFor {
			pools, ok = pools|1<<n, true // of no single pool: a bit that no pool has
		}
	}
	return pools, ok
}

// need marks the checks of some pools, a bit for each.
func need(checks []bool, pools []steer.Pool, which uint64) {
	for n := range pools {
		if which&(1<<n) == 0 {
			continue
		}
		for e := range pools[n].Endpoints {
			needEndpoint(checks, &pools[n].Endpoints[e])
		}
	}
}

func needEndpoint(checks []bool, e *steer.Endpoint) {
	for a := range e.Addrs {
		for _, i := range e.Addrs[a].Checks {
			checks[i] = true
		}
		for _, i := range e.Addrs[a].Shown {
			checks[i] = true
		}
	}
}
