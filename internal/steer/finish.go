package steer

import (
	"net/netip"
	"slices"
	"time"
)

// choice is what one location class and family gets.
type choice struct {
	sets   []set // the first whose share holds the client; weighted: by weight
	drawn  bool  // weighted
	refuse bool  // no answer: last resort none or nodata, or bare
	nodata bool  // and said so as NODATA, in the place of SERVFAIL
	bare   bool  // no address is known
}

// set is the addresses of one pool, or of several that are answered together.
type set struct {
	pool   int16 // -1: several, or fixed addresses
	region uint16
	share  uint8
	reason Reason
	panic  bool
	ttl    uint32
	sums   [2]uint32 // weighted: of the weights up to here; the same, only sets without a share
	v4, v6 list
}

// list is the addresses of one family.
type list struct {
	of    []listed
	total uint32 // of the weights
	even  bool   // all weights are the same
}

// listed is one address, its weight, and the endpoint that it belongs to.
type listed struct {
	ip     netip.Addr
	weight uint32
	end    endRef // for names that are not flattened
}

// endRef names an endpoint of a service.
type endRef struct{ pool, end int16 }

// weightUnit is what an endpoint's weight of one is worth, so that the addresses
// of one name can share it.
const weightUnit = 64

// finish compiles the answers, the TTL and what people want to know.
func (b *build) finish(i int32, blk *block) {
	s, st := &b.plan.Services[i], &blk.state
	ranks := b.ranks(s, st)
	if st.Frozen {
		ranks = pinned(ranks, st.Memory.Used)
	}
	c := compiler{b: b, i: i, s: s, st: st, room: blk.set[:0], ranks: ranks, ttl: seconds(st.lifetime(s, ranks))}
	c.reason(ranks)
	if s.Observe {
		c.ideal, c.ranks, st.Reason = true, idealRanks(st), ReasonObserve
		c.ttl = seconds(s.Settled)
	}
	st.choices = blk.choice[:0]
	for _, home := range homes(s, b.plan) {
		for _, fam := range families(s) {
			st.choices = append(st.choices, c.choice(order(s, b.plan, home), fam))
		}
	}
	st.Ramps &^= st.From
	st.Refused = !slices.ContainsFunc(st.choices, func(c choice) bool { return !c.refuse })
	st.NoData = st.Refused && !slices.ContainsFunc(st.choices, func(c choice) bool { return !c.nodata })
	st.panics(s)
	st.Backups = st.backups(s)
	st.DrainHid = st.drainHides()
	st.hash = st.digest(s)
}

func families(s *Service) []uint8 {
	if s.Separate {
		return []uint8{4, 6}
	}
	return []uint8{0}
}

func pinned(ranks []rank, used uint64) []rank {
	for p := range ranks {
		ranks[p].share = 100
		if used&(1<<p) == 0 {
			ranks[p].outside, ranks[p].inside = None, None
		} else if ranks[p].outside != None {
			ranks[p].outside, ranks[p].inside = Ready, Ready
		}
	}
	return ranks
}

func idealRanks(st *ServiceState) []rank {
	out := make([]rank, len(st.Pools))
	for p := range st.Pools {
		out[p] = rank{share: 100}
		for e := range st.Pools[p].Ends {
			if st.Pools[p].Ends[e].Standing != None {
				out[p].outside, out[p].inside = Ready, Ready
			}
		}
	}
	return out
}

// lifetime is the TTL before its random part: short while the answer may soon
// change.
func (st *ServiceState) lifetime(s *Service, ranks []rank) time.Duration {
	if bestOutside(ranks).Panic() {
		return s.Changing
	}
	backup := st.backup(ranks)
	for p := range ranks {
		inLine := s.Policy != Failover || st.Memory.used(p) || p == backup || ranks[p].share < 100
		if inLine && st.Pools[p].changing() {
			return s.Changing
		}
	}
	return s.Settled
}

// backup returns the pool that is next in line, -1 if there is none.
func (st *ServiceState) backup(ranks []rank) int {
	best := -1
	for p := range ranks {
		if !st.Memory.used(p) && (best < 0 || ranks[p].outside > ranks[best].outside) {
			best = p
		}
	}
	return best
}

// InLine returns the pools of a service, a bit for each, that its answers hang on:
// those in use, on their way back and next in line; all of them if clients may be
// answered from different ones, or if nothing is healthy.
func (s *Snapshot) InLine(service int32) (pools uint64) {
	st, best, next := s.State(service), None, -1
	for p := range st.Pools {
		ps := &st.Pools[p]
		best = max(best, ps.Standing)
		if st.Memory.used(p) || ps.Share < 100 {
			pools |= 1 << p
		} else if next < 0 || ps.Standing > st.Pools[next].Standing {
			next = p
		}
	}
	switch {
	case s.Plan.Services[service].Policy != Failover, best.Panic():
		return 1<<len(st.Pools) - 1
	case next >= 0:
		pools |= 1 << next
	}
	return pools
}

// changing reports whether the pool's part in the answers may soon be another.
func (ps *PoolState) changing() bool {
	if ps.Share < 100 {
		return true
	}
	for i := range ps.Ends {
		switch e := &ps.Ends[i]; {
		case e.Standing == None:
		case e.View.Confirming, e.Standing == Held, e.Standing == Doubtful:
			return true
		}
	}
	return false
}

// panics says whether the service is in panic. A freeze that keeps it at what is
// sick or dark does not hide that; who only observes answers as if all were healthy.
func (st *ServiceState) panics(s *Service) {
	best, worst := None, Ready
	for p := range st.Pools {
		best = max(best, st.Pools[p].Standing)
		if st.From&(1<<p) != 0 {
			worst = min(worst, st.Pools[p].Standing)
		}
	}
	st.Stuck = !s.Observe && st.Frozen && worst.Panic() && !best.Panic()
	st.Panic = !s.Observe && best.Panic() || st.Stuck
}

// backups counts the regions that would be left if the one that serves a client
// failed now: all usable ones but one, also where several serve at once.
func (st *ServiceState) backups(s *Service) int {
	usable, serving := 0, 0
	for p := range s.Pools {
		if !st.Pools[p].usable() {
			continue
		}
		if st.Memory.used(p) {
			serving = 1
		}
		if !st.usableBefore(s, p) {
			usable++
		}
	}
	return usable - serving
}

func (ps *PoolState) usable() bool { return ps.Standing >= Held-half }

// usableBefore reports whether an earlier pool in the region of pool p is usable.
func (st *ServiceState) usableBefore(s *Service, p int) bool {
	for q := range p {
		if s.Pools[q].Region == s.Pools[p].Region && st.Pools[q].usable() {
			return true
		}
	}
	return false
}

// drainHides reports whether what is drained is healthy while nothing else is.
func (st *ServiceState) drainHides() bool {
	healthy := false
	for p := range st.Pools {
		if st.Pools[p].Standing > Sick {
			return false
		}
		for e := range st.Pools[p].Ends {
			es := &st.Pools[p].Ends[e]
			if s, _ := verdictStanding(es.View, false); es.Why == WhyDrained && s == Ready {
				healthy = true
			}
		}
	}
	return healthy
}

func seconds(d time.Duration) uint32 { return uint32(max(0, d/time.Second)) }
