package steer

import "slices"

// carry gives every service of a new plan the memory that it had under the old
// one, or that a restart left: by name, its pools by region, their endpoints by
// label, so that an edit elsewhere in the file changes nothing.
func carry(plan *Plan, prev *Snapshot, kept map[string]Memory) []Memory {
	out := make([]Memory, len(plan.Services))
	for i := range plan.Services {
		s := &plan.Services[i]
		out[i] = newMemory(s)
		if prev != nil {
			if j, ok := prev.Plan.index(s.Name); ok {
				out[i] = remap(plan, s, prev.Plan, &prev.Plan.Services[j], &prev.State(j).Memory)
				continue
			}
		}
		if m, ok := kept[s.Name]; ok && len(m.Pools) == len(s.Pools) {
			out[i] = fit(s, m)
		}
	}
	return out
}

// index returns the service with a name, wildcards included.
func (p *Plan) index(name string) (int32, bool) {
	if len(name) > 2 && name[:2] == "*." {
		i, ok := p.wild[name[2:]]
		return i, ok
	}
	i, ok := p.names[name]
	return i, ok
}

func remap(plan *Plan, s *Service, oldPlan *Plan, old *Service, om *Memory) Memory {
	m := newMemory(s)
	m.Since, m.Frozen = om.Since, om.Frozen
	taken := make([]bool, len(old.Pools))
	for p := range s.Pools {
		name := plan.Regions[s.Pools[p].Region].Name
		for q := range old.Pools {
			if taken[q] || oldPlan.Regions[old.Pools[q].Region].Name != name {
				continue
			}
			taken[q] = true
			if om.used(q) {
				m.Used |= 1 << p
			}
			m.Pools[p] = om.Pools[q]
			m.Pools[p].Ends = remapEnds(&s.Pools[p], &old.Pools[q], om.Pools[q].Ends)
			break
		}
	}
	return m
}

func remapEnds(pool, old *Pool, ends []EndpointMemory) []EndpointMemory {
	out := make([]EndpointMemory, len(pool.Endpoints))
	for e := range pool.Endpoints {
		for f := range old.Endpoints {
			if pool.Endpoints[e].Label == old.Endpoints[f].Label {
				out[e] = ends[f]
			}
		}
	}
	return out
}

// fit makes memory from outside safe to index.
func fit(s *Service, m Memory) Memory {
	c := m.clone()
	c.Used &= 1<<len(s.Pools) - 1
	for p := range s.Pools {
		if len(c.Pools[p].Ends) != len(s.Pools[p].Endpoints) {
			c.Pools[p].Ends = make([]EndpointMemory, len(s.Pools[p].Endpoints))
		}
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
// or another resolver decided. Its answers are those of s until the next Build.
func (s *Snapshot) WithMemories(m map[string]Memory) *Snapshot {
	out := *s
	out.quick = slices.Clone(s.quick)
	for i := range out.quick {
		if mem, ok := m[s.Plan.Services[i].Name]; ok {
			st := *out.quick[i].st
			st.Memory = fit(&s.Plan.Services[i], mem)
			out.quick[i].st = &st
		}
	}
	return &out
}

// Clone returns a copy that shares nothing with m.
func (m *Memory) Clone() Memory { return m.clone() }
