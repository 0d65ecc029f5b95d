package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
)

// The pace at which checks change hands.
const (
	leansFor   = 12 * time.Second // so long after a read this observer relies on others' probes: one ends every 11 s while a store answers
	joinAfter  = 15 * time.Second // so long an observer must have been there before others lean on it
	teamSettle = 2 * time.Second  // so long observers must have stayed the same before checks are divided anew
	teamLatest = 8 * time.Second  // but no longer after the first change
	calmly     = 10 * time.Second // so long the first round of checks takes that others probe too, at most
	lingers    = 30 * time.Second // so long a check is probed that is to be left to others
	tellLatest = 15 * time.Second // so long the others are not told of checks because some taken up with them have not settled
)

// part is what this observer does about a check.
//
//	own      probes it, and says what it sees
//	leaving  probes it, but has told the others, or tells them now, that it does not
//	away     leaves it to others: what they agree on counts
//	taken    probes it again, and has not settled: what was agreed counts
//
//	own --not wanted for lingers--> leaving --the others know--> away --wanted--> taken --settled--> own
//	leaving --wanted--> own
type part uint8

const (
	own part = iota
	leaving
	away
	taken
)

// duty is which checks this observer probes itself, and which it leaves to others.
// It belongs to one plan.
type duty struct {
	id     string  // of this observer
	rate   float64 // probes a second, of all checks
	easy   float64 // probes a second that are not divided: agree.Easy but in tests
	roster *agree.Roster
	since  map[presence]time.Time // that the others have been heard without a pause

	team     *agree.Team // that divides the checks, nil: everybody probes all
	next     *agree.Team // what it is to be, if it stays so
	nextAt   time.Time   // since when it is that
	changing time.Time   // since when it is another than team, zero if it is not
	fresh    bool        // the plan is new: nothing waits

	share   []bool      // by check: this observer's by the team; nil: all are
	part    []part      // by check
	at      []time.Time // by check: own: when it was last wanted; taken: when it was taken up; nil before checks were ever divided
	probes  []int       // by region: checks that this observer probes
	asked   asked
	needs   []bool      // scratch, by check
	told    agree.Marks // checks of which the others are told that they are probed here; nil: all
	version int         // of told
	known   int         // of told, that the others know
	watched bool        // the monitor probes what this says
}

// presence is an observer from one start to its end.
type presence struct{ id, boot string }

func newDuty(p *plan.Plan, id string, ids []uint64) *duty {
	d := &duty{
		id: id, easy: agree.Easy, part: make([]part, len(p.Checks)), probes: make([]int, len(p.Config.Regions)), since: map[presence]time.Time{}, watched: true,
		roster: agree.NewRoster(ids, func(i int) bool { return p.Checks[i].Region >= 0 }), asked: newAsked(p.Steer),
	}
	for i := range p.Checks {
		k := &p.Checks[i]
		if k.Region >= 0 {
			d.probes[k.Region]++
		}
		if !k.Told() {
			d.rate += 1 / k.Params.Interval.Seconds()
		}
	}
	return d
}

// whole reports whether this observer probes all checks and always did.
func (d *duty) whole() bool { return d.at == nil }

// tells reports whether the others are told that check i is probed here.
func (d *duty) tells(i int) bool { return d.told == nil || d.roster.Marked(d.told, i) }

// shares reports whether check i is this observer's.
func (d *duty) shares(i int) bool { return d.share == nil || d.share[i] }

// blind reports whether this observer has nothing to say on check i.
func (d *duty) blind(i int32) bool { return d.part[i] == away || d.part[i] == taken }

// look brings what is probed here up to date. It is called once a second.
func (c *Core) look(now time.Time) {
	d := c.council.duty
	c.divide(now)
	if d.whole() {
		return
	}
	needed := c.needed(now)
	for i := range d.part {
		c.attendTo(int32(i), d.shares(i) || needed[i] || !c.council.spoken(int32(i)), now)
	}
	c.tellParts(now)
}

// spoken reports whether any other observer has a verdict on check i. One on which
// nobody has is everybody's.
func (n *council) spoken(i int32) bool {
	return slices.ContainsFunc(n.others, func(o *observer) bool { _, ok := o.voice(i); return ok })
}

// covered reports whether all who should probe check i say that they do.
func (n *council) covered(i int32) bool {
	return n.duty.team != nil && !slices.ContainsFunc(n.assigned(i), func(member int) bool {
		o := n.seats[member]
		return o == nil || !o.says[i].probed
	})
}

// attendTo moves check i to the part that it is to have.
func (c *Core) attendTo(i int32, wanted bool, now time.Time) {
	d := c.council.duty
	switch d.part[i] {
	case own, leaving:
		calm := !c.states[i].Confirming() && !c.council.states[i].Apart()
		switch {
		case wanted:
			d.part[i], d.at[i] = own, now
		case !calm:
		case d.part[i] == leaving && !d.tells(int(i)) && d.known == d.version && c.council.covered(i):
			c.letGo(i, now)
		case now.Sub(d.at[i]) >= lingers:
			d.part[i] = leaving
		}
	case away:
		if wanted {
			c.takeUp(i, now)
		}
	case taken:
		if now.Sub(d.at[i]) > c.Plan.Checks[i].Params.Stale {
			c.settled(i, now) // it cannot be seen from here
		}
	}
}

// takeUp begins to probe check i. Its state begins with what is agreed, so that as
// much is needed to change that as ever.
func (c *Core) takeUp(i int32, now time.Time) {
	n := c.council
	v := n.states[i].View()
	c.states[i] = *agreedState(&v, now)
	n.duty.part[i], n.duty.at[i] = taken, now
	c.handed(i, 1, now)
}

// letGo ceases to probe check i.
func (c *Core) letGo(i int32, now time.Time) {
	c.states[i] = health.State{}
	c.council.duty.part[i] = away
	delete(c.held, i)
	c.handed(i, -1, now)
}

// handed notes that check i is probed here from now on, or no longer.
func (c *Core) handed(i int32, by int, now time.Time) {
	c.council.duty.probes[c.Plan.Checks[i].Region] += by
	c.council.duty.watched = false
	c.tally(i, &c.states[i], now)
	c.refresh(i, now)
}

// settled lets this observer speak on check i, which it took up.
func (c *Core) settled(i int32, now time.Time) {
	d := c.council.duty
	d.part[i], d.at[i] = own, now
	c.refresh(i, now)
}

// tellParts finds what the others must know of who probes what. They are told of
// what was taken up only when all of it has settled, so that this is said once.
func (c *Core) tellParts(now time.Time) {
	d := c.council.duty
	all := !slices.ContainsFunc(d.part, func(p part) bool { return p != own })
	if d.settles(now) || all && d.told == nil {
		return
	}
	var told agree.Marks
	if d.share != nil || !all {
		told = d.roster.Mark(func(i int) bool { return d.part[i] == own && (d.shares(i) || d.tells(i)) })
	}
	if (told == nil) == (d.told == nil) && slices.EqualFunc(told, d.told, slices.Equal) {
		return
	}
	d.told = told
	d.version++
	c.opines = true
}

// settles reports whether something that was taken up for the team may still settle.
func (d *duty) settles(now time.Time) bool {
	for i, p := range d.part {
		if p == taken && d.shares(i) && now.Sub(d.at[i]) < tellLatest {
			return true
		}
	}
	return false
}

// left returns how many checks are left to others.
func (d *duty) left() (n int) {
	for _, p := range d.part {
		n += by(p == away)
	}
	return n
}

// probed reports whether check i is probed here.
func (c *Core) probed(i int32) bool { return c.council == nil || c.council.duty.part[i] != away }

// takes reports whether check i was taken up, and has not settled since.
func (c *Core) takes(i int32) bool { return c.council != nil && c.council.duty.part[i] == taken }

// watches reports whether the monitor probes what it should.
func (c *Core) watches() bool { return c.council == nil || c.council.duty.watched }

// watched notes that it does.
func (c *Core) watched() {
	if c.council != nil {
		c.council.duty.watched = true
	}
}

// mostSay reports whether most of those that are to probe check i have a voice on it.
func (n *council) mostSay(i int32) bool { return len(n.voicesOn(i)) > len(n.doubting) }

// firstWithin is within what time check i is to be probed if it was not until now,
// 0 for as soon as at a start: clients ask for it, or too few others can be heard.
func (c *Core) firstWithin(i int32, now time.Time) time.Duration {
	if n := c.council; c.takes(i) && n.leans(now) && n.mostSay(i) && n.duty.needs != nil && !n.duty.needs[i] {
		return calmly
	}
	return 0
}

// carry returns the duty for another plan. A check that only the new one has is
// probed, for the others may not have it yet.
func (d *duty) carry(p *plan.Plan, old predecessors, ids []uint64) *duty {
	next := newDuty(p, d.id, ids)
	next.since, next.asked = maps.Clone(d.since), d.asked.carry(old.c.Plan.Steer, p.Steer)
	next.version, next.known, next.watched, next.easy = d.version, d.known, d.watched, d.easy
	if d.whole() {
		return next
	}
	next.team, next.fresh, next.at = d.team, true, make([]time.Time, len(p.Checks))
	was := make([]int, len(p.Checks))
	for i := range p.Checks {
		j, ok := old.find(&p.Checks[i])
		if was[i] = j; !ok || p.Checks[i].Region < 0 {
			was[i] = -1
			continue
		}
		if next.part[i], next.at[i] = d.part[j], d.at[j]; d.part[j] == away {
			next.probes[p.Checks[i].Region]--
		}
	}
	if d.told != nil {
		next.told = next.roster.Mark(func(i int) bool { return was[i] < 0 || next.part[i] == own && d.tells(was[i]) })
		next.version++
	}
	return next
}
