package steer

import (
	"cmp"
	"slices"
)

// rank is how the policy sees one pool.
type rank struct {
	outside Standing // for clients outside the ramp's share
	inside  Standing
	share   int // percent of the clients that are inside; 100: there is no ramp
}

// ranks returns the pools as they stand, until it is called again.
func (b *build) ranks(s *Service, st *ServiceState) []rank {
	out := b.scratch.ranked(len(st.Pools))
	for p := range st.Pools {
		ps := &st.Pools[p]
		out[p] = rank{outside: ps.Standing, inside: ps.Inside, share: ps.Share}
	}
	if s.Failback.Manual && st.Memory.Used != 0 {
		preferUsed(out, st.Memory.Used)
	}
	return out
}

// preferUsed keeps a service whose failback is manual where it is while all is
// sick or dark: what looks like the end of the world is mostly our own, and a
// move would be a failback that nobody asked for.
func preferUsed(ranks []rank, used uint64) {
	best := bestOutside(ranks)
	if !best.Panic() {
		return
	}
	for p := range ranks {
		if used&(1<<p) == 0 && ranks[p].outside == best && anyUsedAt(ranks, used, best) {
			ranks[p].outside -= half
		}
	}
}

func anyUsedAt(ranks []rank, used uint64, best Standing) bool {
	for p := range ranks {
		if used&(1<<p) != 0 && ranks[p].outside == best {
			return true
		}
	}
	return false
}

func bestOutside(ranks []rank) Standing {
	best := None
	for _, r := range ranks {
		best = max(best, r.outside)
	}
	return best
}

// order returns the pools as one location class prefers them: for nearest the
// home region's, then those of the regions near it, then the rest in order.
func order(s *Service, plan *Plan, home int) []int {
	if s.Policy != Nearest || home < 0 {
		return identity[:len(s.Pools)]
	}
	out := slices.Clone(identity[:len(s.Pools)])
	distance := func(p int) int {
		r := s.Pools[p].Region
		if r == home {
			return 0
		}
		if i := slices.Index(plan.Regions[home].Near, r); i >= 0 {
			return 1 + i
		}
		return 1 + len(plan.Regions)
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
	return out
}

// homes returns the location classes of a service: -1 is everybody else.
func homes(s *Service, plan *Plan) []int {
	if s.Policy != Nearest {
		return everybody
	}
	out := slices.Clone(everybody)
	for _, r := range plan.classes {
		out = append(out, int(r))
	}
	return out
}

// usedBy returns the pools that clients outside any ramp are sent to.
func usedBy(s *Service, ranks []rank, plan *Plan) (mask uint64) {
	for _, home := range homes(s, plan) {
		for _, p := range outsiders(s, ranks, order(s, plan, home)) {
			mask |= 1 << p
		}
	}
	return mask
}

// outsiders returns the pools that the policy chooses among those of the best
// standing.
func outsiders(s *Service, ranks []rank, order []int) []int {
	best := bestOutside(ranks)
	if best == None {
		return nil
	}
	out := make([]int, 0, 8)
	for _, p := range order {
		if ranks[p].outside != best {
			continue
		}
		out = append(out, p)
		if s.Policy == Failover || s.Policy == Nearest {
			break
		}
	}
	return out
}

// insiders returns the ramping pools that the policy prefers to the outsiders
// for those clients that a ramp lets in.
func insiders(s *Service, ranks []rank, order, out []int) []int {
	best := bestOutside(ranks)
	var in []int
	for _, p := range order {
		if r := ranks[p]; r.share > 0 && r.share < 100 && r.inside >= best && r.inside > r.outside {
			in = append(in, p)
		}
		if (s.Policy == Failover || s.Policy == Nearest) && len(out) > 0 && p == out[0] && ranks[p].outside == Ready {
			break
		}
	}
	return in
}
