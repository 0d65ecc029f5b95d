package admin

import (
	"slices"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// service is one service without its pools.
func (p *page) service(i int32) Service {
	s, st := &p.plan().Services[i], p.pub.State(i)
	out := Service{
		Name: people(s.Name), Policy: s.Policy.String(), Observe: s.Observe, Reason: st.Reason.String(),
		Using: p.regionsOf(i, st.From), Fixed: st.Fixed && st.From == 0, Refused: st.Refused, NoData: st.NoData, Backups: st.Backups,
		Elsewhere: p.isElsewhere(i), Cause: causesOf(st), Writer: s.SingleWriter, Frozen: st.Frozen, Pending: st.Pending, DrainHid: st.DrainHid, Why: []string{},
	}
	if st.From == st.Memory.Used { // else nobody remembers
		out.Since = st.Memory.Since
	}
	if s.Observe {
		out.Would = p.regionsOf(i, st.Would)
	}
	for n := range st.Pools {
		if ps := &st.Pools[n]; troubled(ps) {
			out.Why = append(out.Why, p.plan().Regions[s.Pools[n].Region].Name+" "+engine.Describe(ps))
		}
	}
	return out
}

// troubled reports whether there is anything to say of a pool.
func troubled(ps *steer.PoolState) bool {
	for e := range ps.Ends {
		if ps.Ends[e].View.Verdict == health.Down && ps.Ends[e].Why != steer.WhyDisabled {
			return true
		}
	}
	return ps.Standing != steer.Ready
}

// regionsOf names the regions of a set of pools, each once.
func (p *page) regionsOf(i int32, pools uint64) []string {
	out := []string{}
	seen := map[int]bool{}
	for n := range p.plan().Services[i].Pools {
		r := p.plan().Services[i].Pools[n].Region
		if pools&(1<<n) != 0 && !seen[r] {
			seen[r] = true
			out = append(out, p.plan().Regions[r].Name)
		}
	}
	return out
}

// risk says whether the next failure leaves the service without an answer.
func (p *page) risk(i int32) (Risk, bool) {
	s, st := &p.plan().Services[i], p.pub.State(i)
	used := len(p.regionsOf(i, st.From))
	out := Risk{Service: people(s.Name), Refused: st.Refused, NoData: st.NoData, Lost: p.couldHaveBackup(i), Panic: st.Panic}
	if st.Stuck {
		out.FrozenBy, out.Thawed = p.frozenBy(i), p.regionsOf(i, st.Thawed)
	}
	if out.Panic {
		out.Lost = true
	}
	if !out.Panic && used-1+st.Backups > 0 {
		return out, false
	}
	out.Hint, out.Lift = p.hint(i)
	return out, true
}

// frozenBy names the owners of the freezes on a service.
func (p *page) frozenBy(i int32) (owners []string) {
	for f := range p.freezes {
		if p.freezes[f].Holds(p.plan(), i) && !slices.Contains(owners, p.freezes[f].Owner) {
			owners = append(owners, p.freezes[f].Owner)
		}
	}
	return owners
}

// couldHaveBackup reports whether the configuration gives the service a second
// region.
func (p *page) couldHaveBackup(i int32) bool {
	seen := map[int]bool{}
	for _, pool := range p.plan().Services[i].Pools {
		for e := range pool.Endpoints {
			if pool.Endpoints[e].Enabled {
				seen[pool.Region] = true
			}
		}
	}
	return len(seen) > 1
}

// hint says what stands in the way of a backup, and which override that is.
func (p *page) hint(i int32) (why, lift string) {
	st := p.pub.State(i)
	for n := range st.Pools {
		for e := range st.Pools[n].Ends {
			if o := p.hides(&st.Pools[n].Ends[e]); o != nil {
				region := p.plan().Regions[p.plan().Services[i].Pools[n].Region].Name
				return region + " " + st.Pools[n].Ends[e].Why.String() + " by " + o.Owner, people(o.Target)
			}
		}
	}
	if !p.couldHaveBackup(i) {
		return "it has one region only, by its configuration", ""
	}
	return "", ""
}

// hides returns the override that keeps a healthy endpoint from being used.
func (p *page) hides(e *steer.EndpointState) *steer.Override {
	if e.Why != steer.WhyDrained && e.Why != steer.WhyForcedDown || e.View.Verdict != health.Up {
		return nil
	}
	for i := range p.overrides {
		if p.overrides[i].Target == e.Override {
			return &p.overrides[i]
		}
	}
	return nil
}

// moved counts the services that are not where they belong.
func (p *page) moved() Moved {
	to := map[string]int{}
	out := Moved{Writers: []string{}}
	for i := range p.plan().Services {
		s, st := &p.plan().Services[i], p.pub.State(int32(i))
		switch {
		case s.Observe && p.strayed(int32(i), st.Would):
			out.Would++
		case !st.Refused && p.isElsewhere(int32(i)):
			out.add(s, st)
			for _, r := range p.regionsOf(int32(i), st.From) {
				to[r]++
			}
		}
		if st.Pending {
			out.Pending++
		}
	}
	out.To = counts(to)
	return out
}

func (m *Moved) add(s *steer.Service, st *steer.ServiceState) {
	m.Services++
	if s.SingleWriter {
		m.Writers = append(m.Writers, people(s.Name))
	}
	if st.Memory.Since.After(m.Last) {
		m.Last = st.Memory.Since
	}
	if by := st.Memory.Since.Add(s.Settled); by.After(m.Clients) {
		m.Clients = by
	}
}

// isElsewhere reports whether a service is answered from elsewhere than configured.
func (p *page) isElsewhere(i int32) bool {
	return !p.plan().Services[i].Observe && p.strayed(i, p.pub.State(i).From)
}

// strayed reports whether a service uses other pools than it would if all were
// well: a failover service not its first, a weighted one not all.
func (p *page) strayed(i int32, used uint64) bool {
	s := &p.plan().Services[i]
	for n := range s.Pools {
		if !enabled(&s.Pools[n]) {
			continue
		}
		in := used&(1<<n) != 0
		if s.Policy == steer.Failover {
			return !in
		}
		if !in && s.Policy != steer.Nearest {
			return true
		}
	}
	return s.Policy == steer.Nearest && p.pub.State(i).Reason == steer.ReasonMoved
}

func enabled(pool *steer.Pool) bool {
	for e := range pool.Endpoints {
		if pool.Endpoints[e].Enabled {
			return true
		}
	}
	return false
}
