package steer

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// settle moves every pool through In, Out and Returning, lets the policy choose,
// and remembers what was chosen.
func (b *build) settle(s *Service, st *ServiceState) {
	m := &st.Memory
	thawed := m.Frozen && !st.Frozen
	m.Frozen = st.Frozen
	for p := range s.Pools {
		if pm := &m.Pools[p]; thawed && !m.used(p) && pm.returning() {
			pm.Returned = b.now // what healed behind the freeze begins to wait when it ends
		}
		b.track(s, st, p)
	}
	used := usedBy(s, b.ranks(s, st), b.plan)
	for !st.Frozen && b.enter(s, st, used) {
		used = usedBy(s, b.ranks(s, st), b.plan)
	}
	if st.Frozen && m.Used&st.enabled() != 0 {
		st.Pending = used != m.Used&st.enabled()
		st.Thawed = used
		st.keepOut(used&^m.Used, b.now)
		used = m.Used
	}
	st.Would = used
	b.use(st, used)
}

// use remembers the pools that were chosen.
func (b *build) use(st *ServiceState, used uint64) {
	if st.Memory.use(used, b.now) && st.anyUnproven() {
		st.wake(b.now.Add(1)) // how such a pool stands depends on those in use
	}
}

// anyUnproven reports whether a pool is ready of which nothing is known.
func (st *ServiceState) anyUnproven() bool {
	return slices.ContainsFunc(st.Pools, func(ps PoolState) bool { return ps.Base >= Ready && ps.isUnproven() })
}

// keepOut notes of healthy pools that only a freeze keeps from being chosen that
// they must return by failback.
func (st *ServiceState) keepOut(pools uint64, now time.Time) {
	for p := range st.Pools {
		if pm := &st.Memory.Pools[p]; pools&(1<<p) != 0 && st.Pools[p].Base >= Ready {
			pm.Out, pm.Returned = true, now
		}
	}
}

// use remembers what is in use, and onto which pools traffic moved, and reports whether
// that is other than before.
func (m *Memory) use(pools uint64, now time.Time) (changed bool) {
	if pools == m.Used {
		return false
	}
	for p := range m.Pools {
		if m.Used != 0 && pools&(1<<p) != 0 && !m.used(p) {
			m.Pools[p].Onto = now
		}
	}
	m.Used, m.Since = pools, now
	return true
}

// track updates the memory of pool p from its standing, and holds it back while
// it waits for failback or ramps.
func (b *build) track(s *Service, st *ServiceState, p int) {
	ps, pm := &st.Pools[p], &st.Memory.Pools[p]
	switch {
	case st.Frozen:
		return
	case ps.Base < Ready:
		if !ps.merelyUnknown() {
			pm.eject(!drainedPool(ps), b.now)
		}
		return
	case !st.Memory.used(p) && ps.isUnproven() && st.usesProven():
		ps.Standing, ps.Inside, ps.Why = min(ps.Standing, Held), min(ps.Inside, Held), WhyUnproven
		return
	case pm.Out && pm.Returned.IsZero():
		pm.Returned = b.now
	}
	if pm.Out {
		b.holdBack(s, st, p)
	}
}

// isUnproven reports whether nothing speaks for the pool but that nothing speaks against it.
func (ps *PoolState) isUnproven() bool {
	return !slices.ContainsFunc(ps.Ends, func(e EndpointState) bool { return e.Standing >= Held && e.Why != WhyUnproven })
}

// usesProven reports whether a pool in use is ready and has an endpoint that is Up. Nothing
// is left then for what nobody has a verdict on: a resolver that cannot check a region must
// not go there after a restart, for it has forgotten what the others said.
func (st *ServiceState) usesProven() bool {
	for p := range st.Pools {
		if st.Memory.used(p) && st.Pools[p].Base >= Ready && slices.ContainsFunc(st.Pools[p].Ends, func(e EndpointState) bool { return e.View.Verdict == health.Up }) {
			return true
		}
	}
	return false
}

// eject puts the pool Out. It counts if the pool was In, or on its way back, and
// if it was not people who emptied it.
func (m *PoolMemory) eject(counts bool, now time.Time) {
	if counts && (!m.Out || !m.Returned.IsZero()) {
		m.Ejected = m.Ejected.Add(now)
	}
	m.Out, m.Returned = true, zero
}

// holdBack applies the stage of a returning pool.
func (b *build) holdBack(s *Service, st *ServiceState, p int) {
	ps, pm := &st.Pools[p], &st.Memory.Pools[p]
	g := s.failback(pm, b.now)
	st.wake(g.next)
	ps.Share, ps.Until = g.share, g.next
	switch {
	case g.share >= 100 && ps.Standing == Ready:
		pm.Out, pm.Returned = false, zero
		return
	case g.share >= 100: // hold-down is the longer of the two
		ps.Share = 100
		return
	case g.share == 0:
		ps.Why = WhyFailback
		ps.Inside = min(ps.Inside, Held)
	default:
		ps.Why = WhyRamp
	}
	ps.Standing = min(ps.Standing, Held)
}

// enter takes pools at their word where everybody was sent to them because
// nothing better was there: of those chosen, the ones that stand best by
// themselves are no longer returning, and their endpoints no longer in hold-down.
// What is in use need not prove that it may be used. It reports whether this
// changed anything.
func (b *build) enter(s *Service, st *ServiceState, used uint64) (entered bool) {
	best := None
	for p := range s.Pools {
		if used&(1<<p) != 0 {
			best = max(best, b.own(s, st, p))
		}
	}
	for p := range s.Pools {
		if used&(1<<p) != 0 && b.own(s, st, p) == best && st.Pools[p].Base >= Ready {
			entered = b.enterPool(s, st, p, best <= Held) || entered
		}
	}
	return entered
}

// own is how pool p stands by its endpoints, whatever it waits for.
func (b *build) own(s *Service, st *ServiceState, p int) Standing {
	return poolStanding(b.scratch.now(st.Pools[p].Ends), s.Pools[p].MinHealthy)
}

func (b *build) enterPool(s *Service, st *ServiceState, p int, held bool) (entered bool) {
	pm, ps := &st.Memory.Pools[p], &st.Pools[p]
	if spared := held && ps.spare(pm); !pm.Out && !spared {
		return false
	}
	pm.Out, pm.Returned = false, zero
	ps.Share, ps.Why = 100, WhyUp
	ps.Standing = b.own(s, st, p)
	ps.Inside = ps.Standing
	return true
}

// spare ends the hold-down of the pool's endpoints for this time.
func (ps *PoolState) spare(pm *PoolMemory) (spared bool) {
	for e := range ps.Ends {
		es := &ps.Ends[e]
		if es.Standing == Held && (es.Why == WhyHoldDown || es.Why == WhyReleased) {
			if !spared {
				pm.Ends = slices.Clone(pm.Ends) // the previous snapshot's
			}
			pm.Ends[e].Released, pm.Ends[e].Served = zero, es.View.Ejected.Last()
			es.Standing, es.Why, es.Until, spared = Ready, WhyUp, zero, true
		}
	}
	return spared
}

// merelyUnknown reports whether all that the pool lacks is news, or others' consent
// that it is down. That is no ejection: neither a restart with old state nor a bad
// path of this observer must cost a failback.
func (ps *PoolState) merelyUnknown() bool {
	for i := range ps.Ends {
		if e := &ps.Ends[i]; e.Standing < Held && e.Why != WhyStale && e.Why != WhyUnresolved && e.Why != WhyHere && e.Why != WhyLone || e.Why == WhyRegion {
			return false
		}
	}
	return true
}

// drainedPool reports whether people, not failures, emptied the pool.
func drainedPool(ps *PoolState) bool {
	for i := range ps.Ends {
		if w := ps.Ends[i].Why; w == WhyDrained {
			return true
		}
	}
	return false
}

// enabled returns the pools that have an enabled endpoint, a bit for each.
func (st *ServiceState) enabled() (pools uint64) {
	for p := range st.Pools {
		if st.Pools[p].Standing != None {
			pools |= 1 << p
		}
	}
	return pools
}
