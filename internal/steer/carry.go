package steer

import "slices"

// carry gives every service of a new plan the memory that it had under the old
// one, or that a restart left: by name, its pools by region, their endpoints by
// label, so that an edit elsewhere in the file changes nothing.
func carry(plan *Plan, prev *Snapshot, kept map[string]Memory) []Memory {
	out := make([]Memory, len(plan.Services))
	for i := range plan.Services {
		s := &plan.Services[i]
		out[i] = newMemory(plan, s)
		if prev != nil {
			if j, ok := prev.Plan.Find(s.Name); ok {
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

// remap moves the memory of each pool to the pool of the same region, and that of its
// endpoints to those of the same label; memory from before labels were noted in it goes by
// position.
func remap(plan *Plan, s *Service, om *Memory) Memory {
	m := newMemory(plan, s)
	m.Since, m.Frozen = om.Since, om.Frozen
	taken := make([]bool, len(om.Pools))
	for p := range s.Pools {
		for q := range om.Pools {
			if taken[q] || om.Regions[q] != m.Regions[p] {
				continue
			}
			taken[q] = true
			if om.used(q) {
				m.Used |= 1 << p
			}
			was, now := &om.Pools[q], m.Pools[p].Labels
			m.Pools[p] = *was
			m.Pools[p].Ends, m.Pools[p].Labels = endsOf(now, was.Labels, was.Ends), now
			break
		}
	}
	return m
}

// endsOf is what is remembered of endpoints that were called otherwise, or stood elsewhere,
// by their names.
func endsOf(now, was []string, ends []EndpointMemory) []EndpointMemory {
	if len(was) != len(ends) {
		return fitEnds(len(now), ends)
	}
	out := make([]EndpointMemory, len(now))
	if slices.Equal(now, was) {
		copy(out, ends)
		return out
	}
	at := make(map[string]int, len(was))
	for f, label := range was {
		at[label] = f
	}
	for e, label := range now {
		if f, ok := at[label]; ok {
			out[e] = ends[f]
		}
	}
	return out
}

// fit makes memory from outside safe to index.
func fit(s *Service, m Memory) Memory {
	c := m.clone()
	c.Used &= 1<<len(s.Pools) - 1
	for p := range s.Pools {
		c.Pools[p].Ends, c.Pools[p].Labels = fitEnds(len(s.Pools[p].Endpoints), c.Pools[p].Ends), labels(s.Pools[p].Endpoints)
	}
	return c
}

func fitEnds(n int, ends []EndpointMemory) []EndpointMemory {
	if len(ends) != n {
		return make([]EndpointMemory, n)
	}
	return slices.Clone(ends)
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
