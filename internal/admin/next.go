package admin

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/steer"
)

// next returns the earliest return of traffic to a pool that it left, nil if
// there is none. One with a time goes before one that waits for an operator.
func (p *page) next() *Next {
	var best *Next
	for x := range p.returns() {
		if best == nil || x.before(best) {
			best = x
		}
	}
	return best
}

// returns gives the returns of traffic to all pools that it left.
func (p *page) returns() iter.Seq[*Next] {
	return func(yield func(*Next) bool) {
		for i := range p.plan().Services {
			for n := range p.pub.State(int32(i)).Pools { // #nosec G115 -- an index of services
				if x := p.returnOf(int32(i), n); x != nil && !yield(x) { // #nosec G115 -- an index of services
					return
				}
			}
		}
	}
}

func (n *Next) before(o *Next) bool {
	if n.Manual != o.Manual {
		return o.Manual
	}
	return n.At.Before(o.At)
}

// returnOf says when traffic returns to pool n: at a time that is settled if it
// is healthy again, else after all its waits if it comes up now.
func (p *page) returnOf(i int32, n int) *Next {
	s, st := &p.plan().Services[i], p.pub.State(i)
	ps, mem := &st.Pools[n], &st.Memory.Pools[n]
	if s.Observe || !mem.Out || !p.strayed(i, st.Memory.Used) || drainedOrOff(ps) {
		return nil
	}
	out := &Next{Region: p.plan().Regions[s.Pools[n].Region].Name, Service: people(s.Name)}
	manual := s.Failback.Manual && !mem.Asked.After(mem.Returned)
	switch {
	case manual:
		out.Manual, out.IfUp = true, mem.Returned.IsZero()
	case ps.Why == steer.WhyFailback || ps.Why == steer.WhyRamp:
		out.At = ps.Until
	case !heldUntil(ps).IsZero():
		out.At = heldUntil(ps)
	default:
		out.IfUp = true
		out.At = p.now.Add(s.FailbackWait(mem, p.now) + p.rise(i, n))
	}
	return out
}

// heldUntil is when the first endpoint of a pool leaves its hold-down, zero if
// none is in it.
func heldUntil(ps *steer.PoolState) (first time.Time) {
	for e := range ps.Ends {
		if t := ps.Ends[e].Until; !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func drainedOrOff(ps *steer.PoolState) bool {
	for e := range ps.Ends {
		switch ps.Ends[e].Why { //nolint:exhaustive // the others are health's, and pass
		case steer.WhyDrained, steer.WhyDisabled, steer.WhyForcedDown:
		default:
			return false
		}
	}
	return true
}

// rise is how long the slowest check of a pool takes from its first success to
// Up.
func (p *page) rise(i int32, n int) (longest time.Duration) {
	for _, e := range p.plan().Services[i].Pools[n].Endpoints {
		for _, a := range e.Addrs {
			for _, c := range a.Checks {
				k := p.pub.Plan.Checks[c].Params
				longest = max(longest, time.Duration(k.Rise-1)*min(k.Confirm, k.Interval))
			}
		}
	}
	return longest
}

// counts sorts numbers by region, the largest first.
func counts(m map[string]int) []Count {
	out := make([]Count, 0, len(m))
	for region, n := range m {
		out = append(out, Count{region, n})
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Services, a.Services), cmp.Compare(a.Region, b.Region))
	})
	return out
}
