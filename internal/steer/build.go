package steer

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

var zero time.Time

// Input is everything that Build takes. Two resolvers with the same input
// publish the same decisions.
type Input struct {
	Plan      *Plan
	Now       time.Time
	Checks    []health.View     // by check index
	Prev      *Snapshot         // nil at the first Build
	Kept      map[string]Memory // by service name: what a restart left; used where Prev knows nothing
	Overrides []Override
	Freezes   []Freeze
	Dirty     []int32 // services whose checks changed since Prev
	All       bool    // overrides or freezes changed: build every service
	Gen       uint64  // of the new snapshot

	Assume map[string]bool // names that were not looked up yet, whose endpoints count as well
}

// build is the working state of one Build.
type build struct {
	plan      *Plan
	now       time.Time
	checks    []health.View
	prev      *Snapshot // nil if it is of another plan
	kept      []Memory  // by service, if prev is nil
	overrides []Override
	freezes   []Freeze
	regions   []RegionState
	returned  []int32 // by region: pools that were returning before
	assume    map[string]bool
	todo      worklist
	evidence  [][]evidence // what was taken in this Build, beside todo.list
	scratch   scratch
}

// Build returns the next snapshot. It rebuilds the services in Dirty, those
// whose time has come, and those in a region whose verdict changed; the others
// are shared with the previous snapshot.
func Build(in Input) *Snapshot {
	b := newBuild(in)
	b.find(in)
	b.evidence = make([][]evidence, 0, len(b.todo.list))
	for _, i := range b.todo.list {
		b.replaceEvidence(i)
	}
	for _, r := range b.judgeRegions() {
		for _, i := range b.plan.byRegion[r] {
			b.todo.add(i)
		}
	}
	return b.assemble(in)
}

func newBuild(in Input) *build {
	b := &build{
		plan: in.Plan, now: in.Now, checks: in.Checks, assume: in.Assume,
		overrides: slices.DeleteFunc(slices.Clone(in.Overrides), func(o Override) bool { return o.expired(in.Now) }),
		freezes:   slices.DeleteFunc(slices.Clone(in.Freezes), func(f Freeze) bool { return !in.Now.Before(f.Until) }),
	}
	b.regions = make([]RegionState, len(in.Plan.Regions))
	b.returned = make([]int32, len(in.Plan.Regions))
	if in.Prev != nil && in.Prev.Plan == in.Plan {
		b.prev = in.Prev
		copy(b.regions, in.Prev.Regions)
		for r := range b.regions {
			b.returned[r] = b.regions[r].returning
		}
		return b
	}
	b.carryRegions(in.Prev)
	b.kept = carry(in.Plan, in.Prev, in.Kept)
	return b
}

// worklist is a set of services in the order in which they were added.
type worklist struct {
	list []int32
	at   []int32 // by service: one more than its place in list, 0 if it is not there
}

func (w *worklist) add(i int32) {
	if w.at[i] == 0 {
		w.list = append(w.list, i)
		w.at[i] = int32(len(w.list))
	}
}

// find lists the services that must be built whatever the regions' verdicts are,
// in their own order: what lies side by side in memory is read one after the other.
func (b *build) find(in Input) {
	w := &b.todo
	w.at = make([]int32, len(b.plan.Services))
	if b.prev == nil || in.All {
		w.list = make([]int32, 0, len(b.plan.Services))
		for i := range b.plan.Services {
			w.add(int32(i))
		}
		return
	}
	for _, i := range in.Dirty {
		w.add(i)
	}
	now := b.now.UnixNano()
	for i, t := range b.prev.nexts {
		if t != 0 && t <= now {
			w.add(int32(i))
		}
	}
	slices.Sort(w.list)
	for at, i := range w.list {
		w.at[i] = int32(at + 1)
	}
}

// replaceEvidence asks the next service of the worklist.
func (b *build) replaceEvidence(i int32) {
	old, ev := b.evidenceOf(i), b.takeEvidence(&b.plan.Services[i])
	if slices.Equal(old, ev) {
		b.evidence = append(b.evidence, old)
		return
	}
	b.evidence = append(b.evidence, slices.Clone(ev))
	b.count(old, -1)
	b.count(ev, 1)
}

// evidenceOf returns what service i says of its regions.
func (b *build) evidenceOf(i int32) []evidence {
	if at := int(b.todo.at[i]); at > 0 && at <= len(b.evidence) {
		return b.evidence[at-1]
	}
	if b.prev == nil {
		return nil
	}
	return b.prev.State(i).evidence
}

func (b *build) count(ev []evidence, by int) {
	for _, e := range ev {
		b.regions[e.region].Could += by
		if e.is {
			b.regions[e.region].Evidence += by
		}
	}
}

func (b *build) memory(i int32) Memory {
	if b.prev != nil {
		return b.prev.State(i).Memory.next()
	}
	return b.kept[i]
}

// assemble builds the services to do and puts them beside the old ones.
func (b *build) assemble(in Input) *Snapshot {
	n := len(b.plan.Services)
	s := &Snapshot{
		Plan: b.plan, At: b.now, Gen: in.Gen, Regions: b.regions,
		nexts: make([]int64, n), quick: make([]quick, n), Built: b.todo.list,
	}
	if b.prev != nil {
		copy(s.nexts, b.prev.nexts)
		copy(s.quick, b.prev.quick)
		s.hash = b.prev.hash
	}
	for _, i := range b.todo.list {
		old, st := s.quick[i].st, b.service(i)
		s.nexts[i], s.quick[i] = st.next, st.quick()
		s.hash += st.hash
		if old != nil {
			s.hash -= old.hash
		}
		b.countReturning(i, old, st)
		s.note(i, old, st)
	}
	b.number()
	s.salts = salts(b.plan, b.regions)
	return s
}

// countReturning keeps the number of pools that return to each region.
func (b *build) countReturning(i int32, old, st *ServiceState) {
	for p, pool := range b.plan.Services[i].Pools {
		if old != nil && old.Memory.Pools[p].returning() {
			b.regions[pool.Region].returning--
		}
		if st.Memory.Pools[p].returning() {
			b.regions[pool.Region].returning++
		}
	}
}

func (m *PoolMemory) returning() bool { return m.Out && !m.Returned.IsZero() }

// number starts a new failback where pools return to a region that none
// returned to before, so that its ramp lets in other clients than the last one.
func (b *build) number() {
	for r := range b.regions {
		if b.returned[r] == 0 && b.regions[r].returning > 0 {
			b.regions[r].Number++
		}
	}
}
