package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/steer"
)

// agreeAfter is how long most zones must have used other pools before a service
// whose failback is manual follows them, and how long zones may differ before that
// is told.
const agreeAfter = 30 * time.Second

// noteUse notes that a publish changed what is used.
func (e *Engine) noteUse(old *Published, s *steer.Snapshot) {
	if e.sharing == nil {
		return
	}
	if old == nil || old.Snapshot.Plan != s.Plan {
		e.sharing.usesAnew = true
		return
	}
	for _, i := range s.Built {
		if !old.State(i).Memory.Stands(&s.State(i).Memory) {
			e.sharing.usesAnew = true
		}
	}
}

// tellUse tells the others what is used. It is called once a second.
func (e *Engine) tellUse(now time.Time) {
	sh := e.sharing
	again := sh.returning && now.Sub(sh.usesSaid) >= share.UseAgain
	starting := sh.usage.at.IsZero() && now.Sub(e.started) < stillStarting
	if !sh.usesAnew && !again || starting { // what it said before its start may be all that is known
		return
	}
	manual, automatic, returning := e.uses(now)
	sh.usesAnew, sh.returning, sh.usesSaid = false, returning, now
	u := share.Use{Observer: sh.name, Zone: e.core.council.zone, Boot: sh.boot, Services: append(manual, automatic...)} // those that others follow come first
	if err := sh.share.Use(u); err != nil {
		e.log.Error("which pools are in use is not shared with other resolvers", "error", err)
	}
}

// uses lists the services whose failback is manual, and of the others those of which
// a pool is out; returning reports whether the age of a return is among that.
func (e *Engine) uses(now time.Time) (manual, automatic []share.ServiceUse, returning bool) {
	snap := e.core.snap
	for i := range snap.Plan.Services {
		s, m := &snap.Plan.Services[i], &snap.State(int32(i)).Memory
		if !s.Failback.Manual && !m.AnyOut() {
			continue
		}
		use := share.ServiceUse{ID: share.ServiceID(s.Name, m.Layout()), Pools: poolUses(s, m, now)}
		if s.Failback.Manual {
			manual = append(manual, use)
		} else {
			automatic = append(automatic, use)
			returning = returning || slices.ContainsFunc(use.Pools, func(p share.PoolUse) bool { return p.Returning })
		}
	}
	return manual, automatic, returning
}

// poolUses returns how the pools of a service stand.
func poolUses(s *steer.Service, m *steer.Memory, now time.Time) []share.PoolUse {
	out, names := make([]share.PoolUse, len(m.Pools)), m.Names()
	for p := range m.Pools {
		pm := &m.Pools[p]
		out[p] = share.PoolUse{Name: names[p], Used: m.Used&(1<<p) != 0, Out: pm.Out}
		if pm.Out && !pm.Returned.IsZero() {
			out[p].Returning = true
			if !s.Failback.Manual {
				out[p].Age = now.Sub(pm.Returned)
			}
			out[p].Ejections = pm.Ejected.Within(s.HoldDown.Window, pm.Returned)
		}
	}
	return out
}

// agreeOnUse has services whose failback is manual follow most zones, and notes
// those of which the zones differ. It is called once a second.
func (e *Engine) agreeOnUse(now time.Time) {
	u := &e.sharing.usage
	into := map[string]steer.Memory{}
	snap := e.core.snap
	for i := range snap.Plan.Services {
		s := &snap.Plan.Services[i]
		if !s.Failback.Manual {
			continue
		}
		if e.core.council.contact != agree.Agreeing || now.Sub(u.at) > usesFresh {
			delete(u.agreed, s.Name)
			u.forgetSplit(s.Name)
			continue
		}
		e.weighUse(int32(i), into, now)
	}
	for name := range u.splits {
		if _, ok := snap.Plan.Find(name); !ok {
			u.forgetSplit(name)
		}
	}
	if len(into) > 0 {
		e.core.snap = snap.WithMemories(into)
		e.core.all = true
		e.publish(now)
	}
}

// weighUse compares what a service uses here with what most zones use.
func (e *Engine) weighUse(i int32, into map[string]steer.Memory, now time.Time) {
	u, s, st := &e.sharing.usage, &e.core.snap.Plan.Services[i], e.core.snap.State(i)
	all := e.using(i, &st.Memory)
	pools, ok := agree.VoteUse(all)
	e.noteSplit(i, all, ok, now)
	word := agree.Using{Pools: pools}
	used := word.Mask()
	if !ok || used == st.Memory.Used || st.Frozen {
		delete(u.agreed, s.Name)
		return
	}
	if was, known := u.agreed[s.Name]; !known || was.pools != used {
		u.agreed[s.Name] = agreedUse{used, now}
		return
	}
	for p := range pools {
		if pools[p].Used && st.Pools[p].Base < steer.Ready {
			return
		}
	}
	if now.Sub(u.agreed[s.Name].since) >= agreeAfter {
		delete(u.agreed, s.Name)
		into[s.Name] = takeOver(s, &st.Memory, pools, now)
		e.sharing.event(people(s.Name) + " follows most zones to " + places(e.core.snap.Plan, i, used, false))
	}
}

// noteSplit notes since when the zones differ on a service without a majority, and
// tells it once.
func (e *Engine) noteSplit(i int32, all []agree.Using, majority bool, now time.Time) {
	u, s := &e.sharing.usage, &e.core.snap.Plan.Services[i]
	zones := united(all)
	differ := slices.ContainsFunc(zones, func(z agree.ZoneUse) bool { return z.Pools != zones[0].Pools })
	if majority || !differ {
		if u.told[s.Name] {
			e.sharing.event("split of " + people(s.Name) + " ended")
		}
		u.forgetSplit(s.Name)
		return
	}
	since, known := u.splits[s.Name]
	if !known {
		u.splits[s.Name] = now
	}
	if known && !u.told[s.Name] && now.Sub(since) >= agreeAfter {
		u.told[s.Name] = true
		split := e.split(i, zones, since)
		e.log.Warn("zones use different pools of a service, and no majority does: an operator must decide", "service", people(s.Name), "use", split.Text(), "run", split.Command)
		e.sharing.event("split: " + people(s.Name) + ": " + split.Text() + "; no majority decides: run " + split.Command)
	}
}

// united returns what those zones use whose observers agree on it.
func united(all []agree.Using) []agree.ZoneUse {
	return slices.DeleteFunc(agree.ZonesUse(all), func(z agree.ZoneUse) bool { return z.Pools == 0 })
}

// forgetSplit forgets that zones differed.
func (u *usage) forgetSplit(name string) {
	delete(u.splits, name)
	delete(u.told, name)
}

// Split is a service that zones use differently, without a majority.
type Split struct {
	Service string
	Since   time.Time
	Zones   []ZoneRegions
	Command string // ends it
}

// ZoneRegions is the regions that a zone uses of a service, with commas.
type ZoneRegions struct{ Zone, Regions string }

// Text says it: "onprem/fra1 uses aws/us-east-1, onprem/ams1 uses gcp/europe-west1".
func (s *Split) Text() string {
	parts := make([]string, len(s.Zones))
	for i, z := range s.Zones {
		parts[i] = fmt.Sprintf("%s uses %s", z.Zone, z.Regions)
	}
	return strings.Join(parts, ", ")
}

func (e *Engine) split(i int32, zones []agree.ZoneUse, since time.Time) Split {
	name := people(e.core.snap.Plan.Services[i].Name)
	out := Split{Service: name, Since: since, Command: "resolver failback " + name + " --now"}
	for _, z := range zones {
		zone := z.Zone
		if zone == "" {
			zone = "resolvers without a zone"
		}
		out.Zones = append(out.Zones, ZoneRegions{zone, places(e.core.snap.Plan, i, z.Pools, false)})
	}
	return out
}

// splitsNow lists the services that zones have used differently for a while.
func (e *Engine) splitsNow(now time.Time) (out []Split) {
	for name, since := range e.sharing.usage.splits {
		i, ok := e.core.snap.Plan.Find(name)
		if !ok || now.Sub(since) < agreeAfter {
			continue
		}
		out = append(out, e.split(i, united(e.using(i, &e.core.snap.State(i).Memory)), since))
	}
	slices.SortFunc(out, func(a, b Split) int { return strings.Compare(a.Service, b.Service) })
	return out
}

// splitOf lists the services of a target that zones use differently.
func (e *Engine) splitOf(target string) (names []string) {
	if e.sharing == nil {
		return nil
	}
	for name := range e.sharing.usage.splits {
		i, ok := e.core.snap.Plan.Find(name)
		if ok && (target == "" || target == name || slices.Contains(e.core.snap.State(i).Memory.Regions, target)) {
			names = append(names, people(name))
		}
	}
	slices.Sort(names)
	return names
}
