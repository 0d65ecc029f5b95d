package steer

import (
	"cmp"
	"slices"
)

// carry gives every service of a new plan the memory that it had under the old
// one, or that a restart left: by name, its pools by region, their endpoints by
// label, so that an edit elsewhere in the file changes nothing.
func carry(plan *Plan, prev *Snapshot, kept map[string]Memory) []Memory {
	out := make([]Memory, len(plan.Services))
	for i := range plan.Services {
		s := &plan.Services[i]
		out[i] = newMemory(plan, s)
		if prev != nil {
			if j, ok := prev.Plan.Find(s.Name); ok && len(prev.Plan.Services[j].Pools) > 0 {
				out[i] = remap(plan, s, &prev.State(j).Memory)
				continue
			}
		}
		if m, ok := kept[s.Name]; ok {
			out[i] = recall(plan, s, m)
		}
	}
	return out
}

// Find returns the service with a name, wildcards included.
func (p *Plan) Find(name string) (int32, bool) {
	if len(name) > 2 && name[:2] == "*." {
		i, ok := p.wild[name[2:]]
		return i, ok
	}
	i, ok := p.names[name]
	return i, ok && i != ancestor
}

// recall takes over what a restart left of service s. Memory from before regions
// were noted in it goes by position.
func recall(plan *Plan, s *Service, m Memory) Memory {
	if len(m.Regions) == len(m.Pools) {
		return remap(plan, s, &m)
	}
	if len(m.Pools) != len(s.Pools) {
		return newMemory(plan, s)
	}
	m.Regions = newMemory(plan, s).Regions
	return fit(s, m)
}

// remap moves the memory of each pool to the pool that it is now, and that of its endpoints
// to those of the same label. A pool that a catalog lists late, beside pools in use, returns
// like one that was out: what deregistered and registers again is not trusted for that.
func remap(plan *Plan, s *Service, om *Memory) Memory {
	m := newMemory(plan, s)
	m.Since, m.Frozen = om.Since, om.Frozen
	for p, q := range origins(&m, om) {
		if q < 0 {
			m.Pools[p].Out = s.Pools[p].Late && om.Used != 0
			continue
		}
		if om.used(q) {
			m.Used |= 1 << p
		}
		now := m.Pools[p].Ends
		m.Pools[p] = om.Pools[q]
		m.Pools[p].Ends = endsOf(now, om.Pools[q].Ends)
	}
	return m
}

// origins returns which pool of om each pool of m was, -1 if none: one of the same region,
// and of several there the one with which it has most endpoints in common; else by their
// order.
func origins(m, om *Memory) []int {
	out, taken := slices.Repeat([]int{-1}, len(m.Pools)), make([]bool, len(om.Pools))
	for _, x := range candidates(m, om) {
		if out[x.p] < 0 && !taken[x.q] {
			out[x.p], taken[x.q] = x.q, true
		}
	}
	return out
}

// candidate is pool q, which may have been what pool p is now.
type candidate struct{ common, p, q int }

// candidates lists the pairs of pools of one region, those with most endpoints in common first.
func candidates(m, om *Memory) (out []candidate) {
	for p := range m.Pools {
		for q := range om.Pools {
			if om.Regions[q] == m.Regions[p] {
				out = append(out, candidate{p: p, q: q})
			}
		}
	}
	if !m.hasTwins() && !om.hasTwins() { // there is nothing to choose
		return out
	}
	for i := range out {
		out[i].common = common(m.Pools[out[i].p].Ends, om.Pools[out[i].q].Ends)
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(b.common, a.common) })
	return out
}

// common counts the endpoints of a that b has, too.
func common(a, b []EndpointMemory) (n int) {
	for _, e := range a {
		if slices.ContainsFunc(b, func(o EndpointMemory) bool { return o.Label == e.Label }) {
			n++
		}
	}
	return n
}

// endsOf fills in what is remembered of endpoints that were others, or stood elsewhere, by
// their labels; by their places where those were not noted.
func endsOf(now, was []EndpointMemory) []EndpointMemory {
	inPlace := func(m, now EndpointMemory) bool { return m.Label == now.Label || m.Label == "" }
	if slices.EqualFunc(was, now, inPlace) {
		for e := range now {
			now[e].take(was[e])
		}
		return now
	}
	at := make(map[string]int, len(was))
	for f := range was {
		at[was[f].Label] = f
	}
	for e := range now {
		if f, ok := at[now[e].Label]; ok {
			now[e].take(was[f])
		}
	}
	return now
}

// take makes m remember what o does, under its own label.
func (m *EndpointMemory) take(o EndpointMemory) {
	o.Label = m.Label
	*m = o
}

// fit makes memory from outside safe to index.
func fit(s *Service, m Memory) Memory {
	c := m.clone()
	c.Used &= 1<<len(s.Pools) - 1
	for p := range s.Pools {
		c.Pools[p].Ends = endsOf(newEnds(s.Pools[p].Endpoints), c.Pools[p].Ends)
	}
	return c
}

// carryRegions keeps the verdicts of regions that a new plan still has. The
// counts are taken anew: every service is built.
func (b *build) carryRegions(prev *Snapshot) {
	if prev == nil {
		return
	}
	for r := range b.plan.Regions {
		for q := range prev.Plan.Regions {
			if prev.Plan.Regions[q].Name == b.plan.Regions[r].Name {
				b.regions[r] = RegionState{
					Down: prev.Regions[q].Down, Since: prev.Regions[q].Since, Number: prev.Regions[q].Number,
				}
				b.returned[r] = prev.Regions[q].returning
			}
		}
	}
}

// WithMemories returns s with other memories, by service name: what an operator
// or another resolver decided, who may know the service with other pools. Its answers
// are those of s until the next Build.
func (s *Snapshot) WithMemories(m map[string]Memory) *Snapshot {
	out := *s
	out.quick = slices.Clone(s.quick)
	for i := range out.quick {
		if mem, ok := m[s.Plan.Services[i].Name]; ok {
			st := *out.quick[i].st
			st.Memory = recall(s.Plan, &s.Plan.Services[i], mem)
			out.quick[i].st = &st
		}
	}
	return &out
}

// Clone returns a copy that shares nothing with m.
func (m *Memory) Clone() Memory { return m.clone() }
