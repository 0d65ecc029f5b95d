package steer

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// ServiceState is what Build decided for one service, and why. It is immutable.
type ServiceState struct {
	Memory   Memory
	Pools    []PoolState
	Reason   Reason
	Frozen   bool
	Pending  bool // frozen, and it would have moved
	Panic    bool // some clients are answered from what is sick or dark, or not at all; in mode observe never
	Stuck    bool // in panic, and only by a freeze: something better is there
	DrainHid bool // only a drained endpoint is healthy: undraining it would help
	nearest  bool
	separate bool
	From     uint64 // the pools that clients outside any ramp are answered from, as dig shows it
	Ramps    uint64 // the pools that only those clients are answered from whom a ramp lets in
	Would    uint64 // mode observe: the pools that would be in use
	Refused  bool   // no answer for anybody: last resort none or nodata, or no address is known
	NoData   bool   // and that is said as NODATA, not as SERVFAIL
	Thawed   uint64 // frozen: the pools that would be in use without the freeze
	Fixed    bool   // last resort addresses: they are of no pool
	Backups  int    // other regions that could take over now
	Void     []Override
	choices  []choice
	next     int64 // when it must be built again even if nothing happens, unix ns, 0 = never
	evidence []evidence
	hash     uint64
}

// PoolState is what Build found of one pool.
type PoolState struct {
	Standing Standing // what the policy compares, for clients outside the ramp
	Base     Standing // by verdicts and region alone
	Inside   Standing // for clients inside the ramp's share
	Share    int      // percent of the clients that a ramp gives it; 100 if there is none
	Why      Why      // of Standing, if it was lowered as a whole: WhyFailback, WhyRamp, WhyRegion
	Until    time.Time
	Ends     []EndpointState
}

// Reason is why a service answers what it answers.
type Reason uint8

// The reasons.
const (
	ReasonPolicy  Reason = iota // the policy's choice among healthy pools
	ReasonMoved                 // a better pool is not usable
	ReasonRamp                  // traffic is returning step by step
	ReasonPanic                 // everything is sick or dark: last resort
	ReasonFrozen                // an operator stopped automation
	ReasonObserve               // mode observe: as if all were healthy
	numReasons
)

// NumReasons is the number of reasons, for tables indexed by one.
const NumReasons = int(numReasons)

// String returns the reason's stable name.
func (r Reason) String() string {
	return [...]string{"policy", "moved", "ramp", "panic", "frozen", "observe"}[r]
}

// MarshalText implements encoding.TextMarshaler.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// service builds the state of service i. Its evidence must have been taken and
// the region verdicts decided before.
func (b *build) service(i int32) *ServiceState {
	s := &b.plan.Services[i]
	blk := newBlock(s)
	st := &blk.state
	st.Memory, st.evidence = b.memory(i), b.evidenceOf(i)
	st.nearest, st.separate = s.Policy == Nearest, s.Separate
	hands, void := b.safeHands(s)
	for _, o := range void {
		st.Void = append(st.Void, *o)
	}
	st.Frozen = b.frozen(s)
	for p := range s.Pools {
		var h [][]hand
		if hands != nil {
			h = hands[p]
		}
		b.pool(s, st, p, h)
	}
	b.settle(s, st)
	b.finish(i, blk)
	return st
}

// pool ranks the endpoints of a pool and the pool itself, before failback.
func (b *build) pool(s *Service, st *ServiceState, p int, hands [][]hand) {
	pool, ps, mem := &s.Pools[p], &st.Pools[p], &st.Memory.Pools[p]
	mem.own(hands)
	ps.Share = 100
	down := b.siblingsDown(pool)
	regionDown := b.regions[pool.Region].Down
	base := b.scratch.base(len(pool.Endpoints))
	for e := range pool.Endpoints {
		var o *Override
		if hands != nil {
			o = strongest(hands[e])
		}
		base[e] = b.endpoint(s, &pool.Endpoints[e], &ps.Ends[e], o, down, st.Memory.used(p))
		mem.note(e, b.now, o)
		if base[e] == Ready && regionDown {
			base[e] = Held
			ps.Ends[e].Standing, ps.Ends[e].Why = Held, WhyRegion
		}
		b.holdDown(s, st, &ps.Ends[e], mem, e)
	}
	ps.Base = poolStanding(base, pool.MinHealthy)
	ps.Standing = b.own(s, st, p)
	ps.Inside = ps.Standing
}

// endpoint ranks one endpoint by its verdict and the override on it. used says that its
// pool is in use.
func (b *build) endpoint(s *Service, e *Endpoint, es *EndpointState, o *Override, siblingsDown, used bool) Standing {
	view, best := b.view(e)
	es.View, es.best = *view, best
	es.Standing, es.Why = b.heard(s, e, &es.View, siblingsDown, used)
	switch {
	case !e.Enabled:
		es.Standing, es.Why = None, WhyDisabled
	case o == nil:
	case o.Kind == Drain && o.Reserve:
		es.Standing, es.Why = min(Reserve, es.Standing), WhyDrained
	case o.Kind == Drain:
		es.Standing, es.Why = None, WhyDrained
	case o.Kind == ForceDown:
		es.Standing, es.Why = Dark, WhyForcedDown
	case o.Kind == ForceUp && len(e.Addrs) > 0:
		es.Standing, es.Why = Ready, WhyForcedUp
	}
	if o != nil {
		es.Override, es.Made = o.Target, o.Made
	}
	return es.Standing
}

// heard ranks an endpoint by what is heard of it alone.
func (b *build) heard(s *Service, e *Endpoint, v *health.View, siblingsDown, used bool) (Standing, Why) {
	standing, why := verdictStanding(*v, siblingsDown)
	switch {
	case e.Unresolved && b.assume[e.Target]:
		return Ready, WhyUp
	case e.Unresolved:
		return Dark, WhyUnresolved
	case s.SingleWriter && (why == WhyHere || why == WhyLone) && (used || v.Outvoted):
		return Ready, WhyUp // nothing is left for what one observer alone sees, and nothing entered against it
	}
	return standing, why
}

// own gives the pool memory of its endpoints that it may change, if any override
// acts on them or did so: else they are the previous snapshot's.
func (m *PoolMemory) own(hands [][]hand) {
	if hands != nil || slices.ContainsFunc(m.Ends, func(e EndpointMemory) bool { return e.Forced }) {
		m.Ends = slices.Clone(m.Ends)
	}
}

// note remembers whether an override takes endpoint e out.
func (m *PoolMemory) note(e int, now time.Time, o *Override) {
	forced := o != nil && o.Kind != ForceUp
	if m.Ends[e].Forced == forced {
		return
	}
	if !forced {
		m.Ends[e].Released = now
	}
	m.Ends[e].Forced = forced
}

// holdDown holds an endpoint that is Up for not long enough.
func (b *build) holdDown(s *Service, st *ServiceState, es *EndpointState, pm *PoolMemory, e int) {
	if es.Standing != Ready || es.Why == WhyForcedUp {
		return
	}
	until, why := s.heldUntil(es.View, &pm.Ends[e])
	if !until.After(b.now) {
		pm.serve(e, es.View.Ejected.Last())
		return
	}
	es.Standing, es.Why, es.Until = Held, why, until
	st.wake(until)
}

// serve notes that endpoint e was held for long enough after an ejection.
func (m *PoolMemory) serve(e int, ejected time.Time) {
	if ejected.After(m.Ends[e].Served) {
		m.Ends = slices.Clone(m.Ends) // the previous snapshot's
		m.Ends[e].Served = ejected
	}
}

// siblingsDown reports whether every endpoint of the pool that has a verdict is
// Down, and at least one has. What was never heard of (no IPv6 here, say) must
// not hold traffic in a pool of which all that we can see is dead.
func (b *build) siblingsDown(pool *Pool) bool {
	down := false
	for e := range pool.Endpoints {
		if !pool.Endpoints[e].Enabled {
			continue
		}
		switch v, _ := b.view(&pool.Endpoints[e]); v.Verdict {
		case health.Up:
			return false
		case health.Down:
			down = true
		case health.Unknown:
		}
	}
	return down
}

// view combines the checks of an endpoint: the worst of each address, the best
// of its addresses. What it returns holds until the next call. best is the rank
// of the addresses that are to be answered, if there are several.
func (b *build) view(e *Endpoint) (v *health.View, best uint8) {
	if e.judge > 0 {
		return &b.checks[e.judge-1], 0
	}
	v = &b.scratch.view
	switch {
	case e.Unresolved:
		*v = health.View{}
		return v, 0
	case len(e.Addrs) == 0:
		*v = health.View{Verdict: health.Down, Cause: health.CauseNoAddress}
		return v, 0
	}
	for i := range e.Addrs {
		a := b.addrView(&e.Addrs[i])
		if i == 0 {
			*v, best = a, e.Addrs[i].rank(a)
			continue
		}
		*v, best = health.Best(*v, a), min(best, e.Addrs[i].rank(a))
	}
	return v, best
}

func (b *build) addrView(a *Addr) health.View {
	var v health.View
	for i, c := range a.Checks {
		if i == 0 {
			v = b.checks[c]
			continue
		}
		v = health.Worst(v, b.checks[c])
	}
	return v
}

// rank orders the addresses of one endpoint that is a name: those that passed
// their checks before those that were never probed, and of equals those that the
// name's answers still hold first.
func (a *Addr) rank(v health.View) uint8 {
	s, why := verdictStanding(v, false)
	r := uint8(Ready - s)
	if a.Old {
		r++
	}
	if why == WhyUnproven {
		r += 2
	}
	return r
}

// poolStanding is that of the best endpoint, half a step lower if fewer than
// minHealthy percent (rounded up) of the endpoints have it.
func poolStanding(ends []Standing, minHealthy int) Standing {
	best, enabled := None, 0
	for _, e := range ends {
		best = max(best, e)
		if e != None {
			enabled++
		}
	}
	if best == None {
		return None
	}
	n := 0
	for _, e := range ends {
		if e == best {
			n++
		}
	}
	if n < (minHealthy*enabled+99)/100 {
		return best - half
	}
	return best
}

// wake notes that the service must be built again at t.
func (st *ServiceState) wake(t time.Time) {
	if t.IsZero() {
		return
	}
	if at := t.UnixNano(); st.next == 0 || at < st.next {
		st.next = at
	}
}
