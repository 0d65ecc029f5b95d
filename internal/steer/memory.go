package steer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Memory is what a service remembers from one Build to the next. It is kept on
// disk and may be shared: a restart or a new replica that starts from it never
// moves a healthy service.
type Memory struct {
	Used   uint64    // bit per pool: in use by clients outside any ramp
	Since  time.Time // when Used last changed
	Frozen bool      // it was frozen at the last Build
	Pools  []PoolMemory

	Regions []string // of Pools: a restart may come with an edit of their order
}

// PoolMemory is what a service remembers of one pool.
//
//	In         its clients are its own
//	Out        ejected, drained or behind a freeze; its standing is below ready
//	Returning  ready again since Returned: waits, then ramps, then is In
//
// It becomes In at once when it is chosen while nothing better is there.
type PoolMemory struct {
	Out      bool
	Returned time.Time // start of Returning, zero while Out
	Asked    time.Time // when an operator asked for its failback, zero if nobody did
	Onto     time.Time // when traffic last moved onto it
	Ejected  health.Ejections
	Ends     []EndpointMemory // snapshots share it
}

// EndpointMemory is what a service remembers of one endpoint.
type EndpointMemory struct {
	Label    string    // a restart may come with other endpoints; empty in memory from before it was noted
	Forced   bool      // an override took it out at the last Build
	Released time.Time // when the last such override ended
	Served   time.Time // the latest ejection after which it was held for long enough, or needed: each is held for once
}

// Names returns what each pool is called among resolvers whose Layout is the same: its
// region, and of several pools there which one it is, such as "aws/us-east-1#2". The list may
// be shared.
func (m *Memory) Names() []string {
	if !m.hasTwins() {
		return m.Regions
	}
	out, seen := make([]string, len(m.Regions)), map[string]int{}
	for p, region := range m.Regions {
		out[p] = region
		if seen[region]++; seen[region] > 1 {
			out[p] = fmt.Sprintf("%s#%d", region, seen[region])
		}
	}
	return out
}

// hasTwins reports whether several pools are in one region.
func (m *Memory) hasTwins() bool {
	for p, region := range m.Regions {
		if slices.Contains(m.Regions[p+1:], region) {
			return true
		}
	}
	return false
}

// Layout says which endpoints the pools of a service have, if several are in one region; ""
// if none are, for then its region says which pool is meant.
func (m *Memory) Layout() string {
	if !m.hasTwins() {
		return ""
	}
	var b strings.Builder
	for p, region := range m.Regions {
		fmt.Fprintf(&b, "%s:", region)
		for _, e := range m.Pools[p].Ends {
			fmt.Fprintf(&b, " %s", e.Label)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// stage is how far a returning pool has come.
type stage struct {
	share int       // percent of the clients that it takes: 0 waiting, 100 all
	next  time.Time // when share changes, zero if only an operator changes it
}

// failback returns how far a pool in Returning is.
func (s *Service) failback(m *PoolMemory, now time.Time) stage {
	start := m.Returned.Add(s.FailbackWait(m, m.Returned))
	if s.Failback.Manual || m.Asked.After(m.Returned) {
		if m.Asked.Before(m.Returned) { // or never
			return stage{}
		}
		start = m.Asked
	}
	if now.Before(start) {
		return stage{next: start}
	}
	if s.SingleWriter || s.Failback.Step <= 0 {
		return stage{share: 100}
	}
	step := int(now.Sub(start) / s.Failback.Step)
	if step >= len(s.Failback.Ramp) {
		return stage{share: 100}
	}
	return stage{
		share: s.Failback.Ramp[step],
		next:  start.Add(time.Duration(step+1) * s.Failback.Step),
	}
}

// FailbackWait returns how long a pool that is healthy again at a time waits until its
// ramp begins: its failback or a hold-down, which run together, whichever is longer.
// Ejections count at that time, so that the wait is known then and does not shrink
// while it runs.
func (s *Service) FailbackWait(m *PoolMemory, at time.Time) time.Duration {
	n := m.Ejected.Within(s.HoldDown.Window, at)
	return max(health.Wait(s.Failback.After, s.Failback.Max, n), health.Wait(s.HoldDown.Step, s.HoldDown.Max, n))
}

// heldUntil returns when an Up endpoint may be used: after its hold-down, and as
// long after an override on it as after one ejection. One that was held for its latest
// ejection has not come back from anywhere when its verdict is lost and found again; nor
// if another observer, or the same after a restart, saw that ejection a moment later.
func (s *Service) heldUntil(v health.View, m *EndpointMemory) (time.Time, Why) {
	var until time.Time
	why := WhyHoldDown
	if n := v.Ejected.Within(s.HoldDown.Window, v.Since); n > 0 && v.Ejected.Last().Sub(m.Served) > min(health.Near, s.HoldDown.Step) {
		until = v.Since.Add(health.Wait(s.HoldDown.Step, s.HoldDown.Max, n))
	}
	if m.Released.IsZero() {
		return until, why
	}
	if r := m.Released.Add(health.Wait(s.HoldDown.Step, s.HoldDown.Max, 1)); r.After(until) {
		return r, WhyReleased
	}
	return until, why
}

func (m *Memory) used(pool int) bool { return m.Used&(1<<uint(pool)) != 0 }

// AnyOut reports whether any pool is Out or Returning.
func (m *Memory) AnyOut() bool {
	return slices.ContainsFunc(m.Pools, func(p PoolMemory) bool { return p.Out })
}

// Ask notes that an operator asked for the failback of a pool that is healthy
// again, whose endpoints stand as given. Who asks need not wait for a hold-down;
// atOnce, nor for the ramp.
func (m *PoolMemory) Ask(now time.Time, ends []EndpointState, atOnce bool) {
	m.Asked = now
	for e := range m.Ends {
		m.Ends[e].Released = zero
		if es := &ends[e]; es.Why == WhyHoldDown {
			m.Ends[e].Served = es.View.Ejected.Last()
		}
	}
	if atOnce {
		m.Out, m.Returned = false, zero
	}
}

// Equal reports whether m and o remember the same.
func (m *Memory) Equal(o *Memory) bool {
	return m.Used == o.Used && m.Since.Equal(o.Since) && m.Frozen == o.Frozen &&
		slices.EqualFunc(m.Pools, o.Pools, func(a, b PoolMemory) bool {
			return a.Out == b.Out && a.Returned.Equal(b.Returned) && a.Asked.Equal(b.Asked) && a.Onto.Equal(b.Onto) &&
				len(a.Ejected) == len(b.Ejected) && slices.Equal(a.Ends, b.Ends)
		})
}

// Stands reports whether a service that remembers m stands as one that remembers
// o: the same pools in use, out, returning and asked for.
func (m *Memory) Stands(o *Memory) bool {
	return m.Used == o.Used && slices.Equal(m.Regions, o.Regions) && slices.EqualFunc(m.Pools, o.Pools, func(a, b PoolMemory) bool {
		return a.Out == b.Out && a.Returned.IsZero() == b.Returned.IsZero() && a.Asked.Equal(b.Asked)
	})
}

// next returns the copy that the next Build works on. What is remembered of
// endpoints hardly ever changes: it is shared until it does.
func (m *Memory) next() Memory {
	c := *m
	c.Pools = slices.Clone(m.Pools)
	return c
}

// clone returns a copy that shares nothing that is changed in place.
func (m *Memory) clone() Memory {
	c := m.next()
	for p := range c.Pools {
		c.Pools[p].Ends = slices.Clone(c.Pools[p].Ends)
	}
	return c
}

// newEnds returns what is remembered of endpoints that nothing is known of.
func newEnds(ends []Endpoint) []EndpointMemory {
	out := make([]EndpointMemory, len(ends))
	for e := range ends {
		out[e].Label = ends[e].Label
	}
	return out
}

// newMemory returns the memory of a service that nothing is known of.
func newMemory(plan *Plan, s *Service) Memory {
	m := Memory{Pools: make([]PoolMemory, len(s.Pools)), Regions: make([]string, len(s.Pools))}
	for i, p := range s.Pools {
		m.Pools[i].Ends = newEnds(p.Endpoints)
		m.Regions[i] = plan.Regions[p.Region].Name
	}
	return m
}
