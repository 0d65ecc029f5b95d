// Package engine is the only writer: results, discovered names, overrides,
// shared opinions and the passing of time go in, snapshots come out.
//
// Core holds the state and the rules and takes the time as a value; Engine puts
// it on a clock, on probes and on disk.
package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/steer"
)

// Core is the state of one engine. It is not safe for concurrent use.
type Core struct {
	Plan  *plan.Plan
	Brake health.Brake

	states    []health.State
	views     []health.View
	heard     []time.Time // start of the newest probe heard of, to drop late results
	census    census
	suspects  []int  // by region: checks that are confirming
	suspect   []bool // by check: it is counted there
	council   *council
	overrides []steer.Override
	freezes   []steer.Freeze
	kept      map[string]steer.Memory
	assume    map[string]bool // only of one that says what would be: as in steer.Input
	snap      *steer.Snapshot
	dirty     map[int32]bool
	moved     []move // by the last change of the plan
	all       bool
	changed   bool // a verdict changed since the last publish

	turned  []Turn         // not told yet
	opines  bool           // the others do not know yet what is held here
	held    map[int32]bool // checks that the brake, which is on, keeps from turning Down
	heldNew int            // of them, not told yet
}

// crowd is how many checks of a region may confirm at once at their full pace.
// The rest leave a whole timeout between two probes: a region that fails is not
// hammered as well, and the bound for silent faults still holds for every check.
const crowd = 20

// hasty is how long after traffic moved onto a pool its sick failures count less.
const hasty = 2 * time.Minute

// NewCore returns a core that knows nothing but what was restored, by check key
// and service name.
func NewCore(p *plan.Plan, checks map[string]health.Restored, services map[string]steer.Memory, now time.Time) *Core {
	c := &Core{kept: services, dirty: map[int32]bool{}}
	c.adopt(p, func(k *plan.Check) (health.State, bool) {
		r, ok := checks[k.Key]
		if !ok {
			return health.State{}, false
		}
		return health.Restore(r, now), true
	})
	return c
}

// adopt takes a plan with the states that a lookup finds for its checks.
func (c *Core) adopt(p *plan.Plan, lookup func(*plan.Check) (health.State, bool)) {
	c.Plan, c.all, c.changed = p, true, true
	c.states = make([]health.State, len(p.Checks))
	c.views = make([]health.View, len(p.Checks))
	c.heard = make([]time.Time, len(p.Checks))
	c.suspects, c.suspect = make([]int, len(p.Config.Regions)), make([]bool, len(p.Checks))
	for i := range p.Checks {
		if s, ok := lookup(&p.Checks[i]); ok {
			c.states[i] = s
		}
		c.views[i] = c.states[i].View()
		c.suspected(i)
	}
	c.census = newCensus(p)
}

// suspected counts check i among its region's suspects while it is confirming.
func (c *Core) suspected(i int) {
	now, r := c.states[i].Confirming(), c.Plan.Checks[i].Region
	if r >= 0 {
		c.suspects[r] += by(now) - by(c.suspect[i])
	}
	c.suspect[i] = now
}

// Observe weighs the result of a probe of check i that started at start. It
// returns how long after that start the next probe should begin. The brake is
// consulted before the result can turn a verdict Down.
func (c *Core) Observe(i int32, start time.Time, r health.Result) time.Duration {
	k := &c.Plan.Checks[i]
	if start.Before(c.heard[i]) {
		return k.Params.Interval
	}
	c.heard[i] = start
	st := &c.states[i]
	ctx := health.Context{Hasty: r.Cause.Sick() && c.hasty(i, r.At)}
	if !r.Cause.Local() {
		ctx.Braked = c.doubt(i, r)
	}
	before := *st
	if st.Observe(k.Params, ctx, r) {
		c.turn(i, &before, r.At)
	} else if ctx.Braked {
		c.holdBack(i, before, r)
	}
	if !r.Cause.Local() && st.Settled() && c.takes(i) {
		c.council.duty.part[i] = own
	}
	c.tally(i, st, r.At)
	c.refresh(i, r.At)
	return c.pace(i, k)
}

// doubt updates the brake with what this result says of the world.
func (c *Core) doubt(i int32, r health.Result) bool {
	probe := c.states[i]
	probe.Observe(c.Plan.Checks[i].Params, health.Context{Braked: true}, r)
	c.tally(i, &probe, r.At)
	c.brake(r.At)
	return c.Brake.On
}

// tally brings the census up to date with a state of check i. What was taken up from
// others, and not probed since, is not known to have passed: as much of it would hide
// that all else fails.
func (c *Core) tally(i int32, st *health.State, now time.Time) {
	if c.takes(i) && st.Last.At.IsZero() {
		st = new(health.State)
	}
	c.census.count(i, &c.Plan.Checks[i], st, c.event(now))
}

// event is the instant of which what was passing is counted: now, or when the
// brake went on, so that what turned Down just before it counts until it ends.
func (c *Core) event(now time.Time) time.Time {
	if c.Brake.On {
		return c.Brake.Since
	}
	return now
}

func (c *Core) brake(now time.Time) {
	limit := c.Plan.Config.Limits.Brake
	census := c.census.take(c.states, c.Plan.Self)
	census.OthersReport = c.othersReport(census.Regions)
	if !c.Brake.Update(census, limit, now) {
		return
	}
	c.opines = true
	if c.council != nil {
		c.council.doubted = true
	}
	if c.Brake.On {
		return
	}
	c.held = nil
	if now.Sub(c.Brake.Since) < limit { // the doubt is over: what failed meanwhile was our failing
		for i := range c.states {
			c.states[i].Forgive()
			c.refresh(int32(i), now)
		}
	}
}

// refresh takes over what is held of check i and marks the services it judges.
func (c *Core) refresh(i int32, now time.Time) {
	c.suspected(int(i))
	old, v := c.views[i], c.view(i, now)
	if v.Verdict == old.Verdict && v.Elsewhere == old.Elsewhere && v.Outvoted == old.Outvoted && v.Lone == old.Lone && v.Confirming == old.Confirming && v.Cause == old.Cause && v.Since.Equal(old.Since) {
		return
	}
	c.views[i] = v
	for _, s := range c.Plan.Steer.ServicesOf(i) {
		c.dirty[s] = true
	}
	if r := c.Plan.Checks[i].Region; r >= 0 && len(c.Plan.Uses[i]) == 0 && v.Verdict != old.Verdict {
		c.changed = true // a canary: it judges no service, only its region
	}
}

// pace is the time from one probe's start to the next.
func (c *Core) pace(i int32, k *plan.Check) time.Duration {
	switch p := &k.Params; {
	case !c.suspect[i]:
		return p.Interval
	case k.Region >= 0 && c.suspects[k.Region] > crowd:
		return min(max(p.Confirm, p.Timeout), p.Interval)
	default:
		return min(p.Confirm, p.Interval)
	}
}

func (c *Core) hasty(i int32, now time.Time) bool {
	if c.snap == nil || c.snap.Plan != c.Plan.Steer {
		return false
	}
	for _, u := range c.Plan.Uses[i] {
		onto := c.snap.State(u.Service).Memory.Pools[u.Pool].Onto
		if !onto.IsZero() && now.Sub(onto) < hasty {
			return true
		}
	}
	return false
}

// Sweep ages verdicts and lets the brake go. It is called at least once a second.
func (c *Core) Sweep(now time.Time) {
	for i := range c.states {
		before := c.states[i]
		if c.states[i].Age(c.Plan.Checks[i].Params, now) {
			c.turn(int32(i), &before, now)
			c.refresh(int32(i), now)
		}
		c.tally(int32(i), &c.states[i], now)
	}
	if c.Brake.On {
		c.brake(now)
	}
	c.attend(now)
}

// Due reports whether Publish would build anything: something changed, or time
// alone did it.
func (c *Core) Due(now time.Time) bool {
	if c.snap == nil || c.all || len(c.dirty) > 0 || c.changed || c.handsDue(now) {
		return true
	}
	next := c.snap.Next()
	return !next.IsZero() && !now.Before(next)
}

// Publish builds the next snapshot.
func (c *Core) Publish(now time.Time) *steer.Snapshot {
	c.snap = c.build(now, c.all || c.handsDue(now))
	clear(c.dirty)
	c.all, c.changed = false, false
	return c.snap
}

// build returns the snapshot that would be published now: of all services, or of those that
// changed.
func (c *Core) build(now time.Time, all bool) *steer.Snapshot {
	in := steer.Input{
		Plan: c.Plan.Steer, Now: now, Checks: c.views, Prev: c.snap, Kept: c.kept,
		Overrides: c.overrides, Freezes: c.freezes, All: all, Assume: c.assume,
	}
	if c.snap != nil {
		in.Gen = c.snap.Gen + 1
	}
	for s := range c.dirty {
		in.Dirty = append(in.Dirty, s)
	}
	return steer.Build(in)
}

// Snapshot returns the last one published.
func (c *Core) Snapshot() *steer.Snapshot { return c.snap }

// State returns what is known of check i.
func (c *Core) State(i int32) *health.State { return &c.states[i] }

// Settled reports whether every check has a verdict that is not in doubt, or
// cannot have one from here.
func (c *Core) Settled() bool {
	for i := range c.states {
		if s := &c.states[i]; !s.Settled() && !s.Last.Cause.Local() && c.probed(int32(i)) {
			return false
		}
	}
	return true
}
