package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/steer"
)

// usesFresh is how old a read of uses may be to move a running resolver.
const usesFresh = 30 * time.Second

// usage is what others use, and what of that counts here. It belongs to the loop.
type usage struct {
	others []share.Use // as last read, also of those who are gone
	byID   map[string]*share.Use
	at     time.Time // when that was, zero before
	open   map[string]bool
	agreed map[string]agreedUse // services that most zones use otherwise, by name
	splits map[string]time.Time // services of which the zones have differed since, without a majority
	told   map[string]bool      // of these, that it was told
}

// agreedUse is pools that most zones have used since.
type agreedUse struct {
	pools uint64
	since time.Time
}

// newUsage begins with the services that the disk does not say how they stood: for
// them others' word counts in the first minute.
func newUsage(services []steer.Service, kept map[string]steer.Memory) usage {
	u := usage{open: map[string]bool{}, agreed: map[string]agreedUse{}, splits: map[string]time.Time{}, told: map[string]bool{}}
	for i := range services {
		if _, ok := kept[services[i].Name]; !ok {
			u.open[services[i].Name] = true
		}
	}
	return u
}

// readUses takes what others use. The start waits for the first read, as for that
// of records.
func (s *sharing) readUses() {
	ctx, cancel := context.WithTimeout(s.ctx, firstRead)
	defer cancel()
	select {
	case <-s.heard: // so that those who are gone are told from those who live
	case <-ctx.Done():
	}
	err := s.takeUses(ctx)
	s.firstRead.Done()
	for s.ctx.Err() == nil {
		if err != nil && !s.retry() {
			return
		}
		err = s.takeUses(s.ctx)
	}
}

func (s *sharing) takeUses(ctx context.Context) error {
	list, err := s.share.Uses(ctx)
	if err != nil {
		return err
	}
	return s.e.Do(func(*Core) { s.e.takeUses(list, time.Now()) })
}

// takeUses notes what others use, and in the first minute follows them where this
// resolver has no memory of its own.
func (e *Engine) takeUses(list []share.Use, now time.Time) {
	u := &e.sharing.usage
	first := u.at.IsZero() && now.Sub(e.started) < stillStarting
	u.take(list, now)
	into := map[string]steer.Memory{}
	if first {
		e.joinReturns(into, now)
	}
	if len(u.open) > 0 && now.Sub(e.started) < stillStarting {
		e.followOthers(u.open, into, now)
	}
	clear(u.open)
	if len(into) > 0 {
		e.core.snap = e.core.snap.WithMemories(into)
		e.core.all = true
		e.publish(now)
	}
}

// take notes what others use.
func (u *usage) take(list []share.Use, now time.Time) {
	u.others, u.at, u.byID = list, now, make(map[string]*share.Use, len(list))
	for i := range list {
		u.byID[list[i].ID()] = &list[i]
	}
}

// followOthers finds how services stand for most zones.
func (e *Engine) followOthers(services map[string]bool, into map[string]steer.Memory, now time.Time) {
	for name := range services {
		i, ok := e.core.snap.Plan.Find(name)
		if !ok {
			continue
		}
		pools, ok := agree.VoteUse(e.using(i, nil))
		if ok && !e.allDown(i, pools) {
			into[name] = takeOver(&e.core.snap.Plan.Services[i], &e.core.snap.State(i).Memory, pools, now)
		}
	}
}

// joinReturns finds services that stand here as they do for most zones, and takes
// from those how far the returns are: this resolver was away while they began, and
// would take its clients back later than all others.
func (e *Engine) joinReturns(into map[string]steer.Memory, now time.Time) {
	for i := range e.core.snap.Plan.Services {
		s, own := &e.core.snap.Plan.Services[i], &e.core.snap.State(int32(i)).Memory
		if e.sharing.usage.open[s.Name] || !own.AnyOut() {
			continue
		}
		pools, ok := agree.VoteUse(e.using(int32(i), nil))
		if word := (agree.Using{Pools: pools}); ok && word.Mask() == own.Used {
			into[s.Name] = joined(s, own, pools, now)
		}
	}
}

// joined returns a memory whose pools have returned as far as others say.
func joined(s *steer.Service, own *steer.Memory, pools []agree.PoolUse, now time.Time) steer.Memory {
	m := own.Clone()
	for p := range pools {
		if m.Pools[p].Out && pools[p].Returning {
			returnAs(s, &m.Pools[p], &pools[p], now)
		}
	}
	return m
}

// allDown reports whether the probes made here find every pool Down that others use.
func (e *Engine) allDown(service int32, pools []agree.PoolUse) bool {
	st := e.core.snap.State(service)
	for p := range pools {
		if pools[p].Used && st.Pools[p].Base > steer.Sick+1 {
			return false
		}
	}
	return true
}

// takeOver returns the memory of a service that stands as others say.
func takeOver(s *steer.Service, own *steer.Memory, pools []agree.PoolUse, now time.Time) steer.Memory {
	m := own.Clone()
	m.Used, m.Since = 0, now
	for p := range m.Pools {
		w, pm := &pools[p], &m.Pools[p]
		if w.Used {
			m.Used |= 1 << p
		}
		pm.Out, pm.Returned, pm.Asked = w.Out, time.Time{}, time.Time{}
		if w.Returning {
			returnAs(s, pm, w, now)
		}
	}
	return m
}

// returnAs has a pool return as far as others say. What they say of times are ages,
// cut to the time that a return can take.
func returnAs(s *steer.Service, pm *steer.PoolMemory, w *agree.PoolUse, now time.Time) {
	longest := s.Failback.Max + time.Duration(len(s.Failback.Ramp))*s.Failback.Step
	pm.Returned, pm.Ejected = now.Add(-min(w.Age, longest)), nil
	for range min(w.Ejections, health.MaxEjections) {
		pm.Ejected = pm.Ejected.Add(pm.Returned)
	}
}

// using lists what observers say that they use of a service: those that are heard
// now; if none is, all that ever said it. own is what this one uses, nil if it has
// no word yet.
func (e *Engine) using(service int32, own *steer.Memory) []agree.Using {
	n, u := e.core.council, &e.sharing.usage
	s := &e.core.snap.Plan.Services[service]
	m := &e.core.snap.State(service).Memory
	id, names := share.ServiceID(s.Name, m.Layout()), m.Names()
	var out []agree.Using
	if own != nil {
		out = append(out, agree.Using{Zone: n.zone, Pools: fitUse(poolUses(s, own, time.Now()), names)})
	}
	living := n.contact == agree.Agreeing && len(n.others) > 0
	for _, o := range n.others {
		if living && !o.muted {
			out = append(out, agree.Using{Zone: o.Zone, Pools: u.of(o.ID(), id, names)})
		}
	}
	if living || own != nil {
		return out
	}
	for i := range u.others {
		out = append(out, agree.Using{Zone: u.others[i].Zone, Pools: u.of(u.others[i].ID(), id, names)})
	}
	return out
}

// of returns what an observer says of a service, nil if nothing.
func (u *usage) of(observer string, service uint64, names []string) []agree.PoolUse {
	o := u.byID[observer]
	if o == nil {
		return nil
	}
	at, ok := slices.BinarySearchFunc(o.Services, service, func(s share.ServiceUse, id uint64) int {
		return cmp.Compare(s.ID, id)
	})
	if !ok {
		return nil
	}
	return fitUse(o.Services[at].Pools, names)
}

// fitUse brings pools into the order of names, nil if one in use is not among them: what is
// used cannot be followed then.
func fitUse(pools []share.PoolUse, names []string) []agree.PoolUse {
	out := make([]agree.PoolUse, len(names))
	for i := range pools {
		p := slices.Index(names, pools[i].Name)
		switch {
		case p >= 0:
			out[p] = agree.PoolUse{Used: pools[i].Used, Out: pools[i].Out, Returning: pools[i].Returning, Age: pools[i].Age, Ejections: pools[i].Ejections}
		case pools[i].Used:
			return nil
		}
	}
	return out
}

// takeFailback lets the pools return that wait for it here. A resolver that starts
// takes what it did not know of as done: those that were out when it stopped are in,
// unless most zones say otherwise.
func (e *Engine) takeFailback(entry share.Entry, first bool, now time.Time) bool {
	var f failback
	if entry.Deleted {
		return false
	}
	if err := json.Unmarshal(entry.Value, &f); err != nil {
		e.odd(entry, err)
		return false
	}
	target, who := strings.TrimSuffix(entry.Target, freezeKey("")), byResolver+entry.Version.Writer
	if first {
		e.returned(target, now)
		return true
	}
	asked := e.core.AskFailback(target, f.Now, now)
	e.tellHand(journal.Failback, target, "failback of "+orAll(target)+" asked for, "+many(asked, "pool returns", "pools return"), "", who)
	return asked > 0
}

// returned puts in use what was out at the stop, and asks most zones for more.
func (e *Engine) returned(target string, now time.Time) {
	u := &e.sharing.usage
	into, open := map[string]steer.Memory{}, map[string]bool{}
	for i := range e.core.snap.Plan.Services {
		s := &e.core.snap.Plan.Services[i]
		if u.open[s.Name] {
			continue // it has no memory of its own
		}
		if m, changed := allIn(s.Name, e.core.snap.State(int32(i)).Memory.Clone(), target); changed {
			into[s.Name], open[s.Name] = m, true
		}
	}
	if u.at.IsZero() {
		maps.Copy(u.open, open)
	} else {
		e.followOthers(open, into, now)
	}
	e.core.snap = e.core.snap.WithMemories(into)
}

// allIn puts in the pools of a target that are out, and reports whether any was.
func allIn(service string, m steer.Memory, target string) (out steer.Memory, changed bool) {
	for p := range m.Pools {
		if pm := &m.Pools[p]; pm.Out && (target == "" || target == service || target == m.Regions[p]) {
			pm.Out, pm.Returned, changed = false, time.Time{}, true
		}
	}
	return m, changed
}
