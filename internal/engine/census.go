package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
)

// census keeps, by address and region, what was passing and what of that failed
// its latest probe. It is kept up as results come, so that the brake can be
// judged before every verdict.
type census struct {
	mark    []mark // by check: what is counted for it
	was     []int  // by place: checks that were passing
	failed  []int  // by place: of these, that failed
	region  []int  // by place
	tallies []health.Tally
}

type mark struct{ was, failed bool }

func newCensus(p *plan.Plan) census {
	c := census{
		mark: make([]mark, len(p.Checks)), was: make([]int, p.Places), failed: make([]int, p.Places),
		region: make([]int, p.Places), tallies: make([]health.Tally, len(p.Config.Regions)),
	}
	for i := range p.Checks {
		if k := &p.Checks[i]; k.Place >= 0 {
			c.region[k.Place] = k.Region
		}
	}
	return c
}

// count brings the tallies up to date with the state of check i.
func (c *census) count(i int32, k *plan.Check, s *health.State, now time.Time) {
	if k.Place < 0 {
		return
	}
	was, failed := s.Suspect(k.Params, now)
	if m := (mark{was, failed}); m != c.mark[i] {
		c.tally(k.Place, -1)
		c.was[k.Place] += by(was) - by(c.mark[i].was)
		c.failed[k.Place] += by(failed) - by(c.mark[i].failed)
		c.mark[i] = m
		c.tally(k.Place, 1)
	}
}

// tally adds or removes the address as a whole: it failed if any of its checks did.
func (c *census) tally(place, n int) {
	t := &c.tallies[c.region[place]]
	if c.was[place] > 0 {
		t.Passing += n
		if c.failed[place] > 0 {
			t.Failed += n
		}
	}
}

func by(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take returns the census with the latest self-checks.
func (c *census) take(states []health.State, self []int32) health.Census {
	out := health.Census{Regions: c.tallies}
	for _, i := range self {
		switch s := &states[i]; {
		case s.Last.At.IsZero():
		case s.Last.Cause.OK():
			out.SelfPassing++
		default:
			out.SelfFailing++
		}
	}
	return out
}
