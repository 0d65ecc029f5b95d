package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// Sharing is how it stands with the other resolvers.
type Sharing struct {
	Contact   agree.Contact
	Heard     time.Time // when the last good read ended, zero if none did
	Problem   string    // why nothing was read last, "" if it was
	Quorum    int       // observers that must say what is agreed
	Observers []Seen    // this one first, the others by name
	Apart     int       // checks of which this observer holds something else than is agreed
	Disputes  []Dispute // checks of which not all say the same, at most maxDisputes
	Stores    []share.Store
	Splits    []Split // services whose zones use different pools
}

// Seen is an observer as this one sees it.
type Seen struct {
	Name     string
	Self     bool
	Zone     string
	Version  string
	Decision string // hash
	Alike    bool   // it judges the same checks
	Common   int    // checks of this one that it is known to judge: elsewhere it has no voice
	Braked   bool
	Muted    bool // its zone has more observers than expected: it has no voice
	Assigned int  // checks that it probes, as far as this one has them too; -1: all of its own
	NotUp    int  // checks that it does not hold Up
}

// Dispute is a check of which not all observers say the same.
type Dispute struct {
	Region, Endpoint, Monitor string
	Agreed                    health.View
	Says                      []Saying
}

// Saying is what one observer says of a check.
type Saying struct {
	Observer, Zone string
	Region         string
	Endpoint       string
	Monitor        string
	Verdict        health.Verdict
	Cause          health.Cause // of Down
}

// maxDisputes bounds what is listed.
const maxDisputes = 100

// Sharing returns how it stands with the others; ok is false if this resolver
// shares with nobody.
func (e *Engine) Sharing() (out Sharing, ok bool) {
	if e.sharing == nil {
		return out, false
	}
	_ = e.Do(func(c *Core) {
		n := c.council
		out = Sharing{
			Contact: n.contact, Heard: n.heard, Problem: e.sharing.problem, Quorum: n.quorum, Apart: len(n.apart),
			Stores: slices.Clone(e.sharing.stores), Splits: e.splitsNow(time.Now()), Observers: e.seen(), Disputes: c.disputes(e.sharing.name),
		}
	})
	return out, true
}

// seen lists the observers.
func (e *Engine) seen() []Seen {
	c, n := e.core, e.core.council
	_, notUp := c.notUp(time.Now())
	all := []Seen{{
		Name: e.sharing.name, Self: true, Zone: n.zone, Version: e.version, Decision: hex(c.snap.Hash()), Alike: true,
		Common: c.common(agree.AllBuckets), Braked: c.Brake.On, Muted: n.muted[n.id], Assigned: sum(n.duty.probes), NotUp: notUp,
	}}
	if all[0].Assigned == all[0].Common {
		all[0].Assigned = -1
	}
	for _, o := range n.others {
		s := Seen{
			Name: o.Observer, Zone: o.Zone, Version: o.Version, Decision: o.Decision, Braked: o.Braked, Muted: o.muted,
			Alike: o.Plan == n.digest && o.alike == agree.AllBuckets, Common: c.common(o.alike), Assigned: sum(o.probes), NotUp: o.notUp,
		}
		if o.Opinion.Assigned == nil {
			s.Assigned = -1
		}
		all = append(all, s)
	}
	slices.SortFunc(all[1:], func(a, b Seen) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// common counts the checks in some buckets. Self-checks are one's own affair.
func (c *Core) common(in agree.Buckets) (n int) {
	for i := range c.Plan.Checks {
		n += by(c.Plan.Checks[i].Region >= 0 && in&c.council.buckets[i] != 0)
	}
	return n
}

func sum(list []int) (n int) {
	for _, x := range list {
		n += x
	}
	return n
}

// disputes lists the checks that somebody sees Down and somebody Up.
func (c *Core) disputes(me string) (out []Dispute) {
	for i := range c.states {
		k := &c.Plan.Checks[i]
		if k.Region < 0 || !c.someSayDown(int32(i)) || len(out) == maxDisputes {
			continue
		}
		says := c.says(int32(i), me)
		if slices.ContainsFunc(says, func(s Saying) bool { return s.Verdict != says[0].Verdict }) {
			out = append(out, Dispute{regionName(c.Plan, k), k.Addr.String(), k.Monitor.Name, c.views[i], says})
		}
	}
	return out
}

// someSayDown reports whether anybody says that check i is Down.
func (c *Core) someSayDown(i int32) bool {
	return c.states[i].Verdict == health.Down || slices.ContainsFunc(c.council.others, func(o *observer) bool {
		return o.says[i].verdict == health.Down
	})
}

// says lists what the observers say of check i, this one first. Who has no voice
// is left out.
func (c *Core) says(i int32, me string) (out []Saying) {
	k := &c.Plan.Checks[i]
	say := func(name, zone string, v health.Verdict, cause health.Cause) {
		out = append(out, Saying{name, zone, regionName(c.Plan, k), k.Addr.String(), k.Monitor.Name, v, cause})
	}
	if s := &c.states[i]; s.Verdict != health.Unknown && !c.council.duty.blind(i) {
		say(me, c.council.zone, s.Verdict, s.Cause)
	}
	for _, o := range c.council.others {
		if v, ok := o.voice(i); ok {
			say(o.Observer, o.Zone, v.Verdict, v.Cause)
		}
	}
	return out
}

// Says lists what the observers say of the checks of a service, check by check. It
// is empty if this resolver shares with nobody.
func (e *Engine) Says(service int32) (out []Saying) {
	if e.sharing == nil {
		return nil
	}
	_ = e.Do(func(c *Core) {
		for i := range c.states {
			if slices.Contains(c.Plan.Steer.ServicesOf(int32(i)), service) {
				out = append(out, c.says(int32(i), e.sharing.name)...)
			}
		}
	})
	return out
}

// Elsewhere is a check that others probe, and this resolver does not.
type Elsewhere struct {
	Region, Endpoint, Monitor string
	By                        []string // observers, in the order of their names
}

// Elsewhere lists the checks of a service that only others probe.
func (e *Engine) Elsewhere(service int32) (out []Elsewhere) {
	_ = e.Do(func(c *Core) {
		for i := range c.states {
			if i := int32(i); !c.probed(i) && slices.Contains(c.Plan.Steer.ServicesOf(i), service) {
				k := &c.Plan.Checks[i]
				out = append(out, Elsewhere{regionName(c.Plan, k), k.Addr.String(), k.Monitor.Name, c.council.probers(i)})
			}
		}
	})
	return out
}

// probers names the others that are known to probe check i.
func (n *council) probers(i int32) (names []string) {
	for _, o := range n.others {
		if w := &o.says[i]; w.voice {
			names = append(names, o.Observer)
		}
	}
	slices.Sort(names)
	return names
}
