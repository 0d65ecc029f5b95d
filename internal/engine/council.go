package engine

import (
	"maps"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

// council is what the other observers hold, and what is agreed with them. A core
// that shares with nobody has none. What is in it belongs to one plan.
type council struct {
	quorum   int
	zone     string
	digest   string // of the plan's checks
	digests  agree.Digests
	ids      []uint64
	buckets  []agree.Buckets // by check: the one that it is in
	byID     map[uint64]int32
	states   []agree.State // by check
	apart    map[int32]bool
	read     share.Read
	others   []*observer // those in read; never changed in place
	heard    time.Time   // when the last good read ended, zero if none did
	contact  agree.Contact
	doubted  bool          // the brake went on or off since the others were last heard
	voices   []agree.Voice // scratch
	doubting []agree.Voice
	members  []int
	seats    []*observer // by member of the team: those of others that are heard, nil for the rest
	changed  []bool      // scratch, by check
	duty     *duty

	id     string               // of this observer
	expect map[string]int       // observers of each zone: config.Share.Expect
	first  map[string]time.Time // when observers were first heard, by ID, this one included
	absent map[string]time.Time // since when some of these have not been heard
	muted  map[string]bool      // have no voice: their zone has too many; replaced as a whole
}

// Join makes the core agree with others from now on. Until it hears of any, the
// local verdicts count.
func (c *Core) Join(zone string, quorum int, now time.Time) {
	c.council = newCouncil(c.Plan, zone, quorum)
	c.council.duty = newDuty(c.Plan, c.council.id, c.council.ids)
	c.meet(now)
}

func newCouncil(p *plan.Plan, zone string, quorum int) *council {
	n := &council{
		quorum: quorum, zone: zone, ids: make([]uint64, len(p.Checks)), byID: make(map[uint64]int32, len(p.Checks)),
		states: make([]agree.State, len(p.Checks)), apart: map[int32]bool{}, buckets: make([]agree.Buckets, len(p.Checks)),
		id: share.MemberID(zone, p.Config.Self.Name), expect: p.Config.Share.Expect, first: map[string]time.Time{}, absent: map[string]time.Time{},
	}
	sum := uint64(0)
	for i := range p.Checks {
		n.ids[i] = checkID(p.Checks[i].Key)
		n.byID[n.ids[i]] = int32(i)
		n.buckets[i] = agree.BucketOf(n.ids[i])
		if p.Checks[i].Region >= 0 {
			sum += n.ids[i]
			n.digests.Add(n.ids[i])
		}
	}
	n.digest = hex(sum)
	return n
}

// carry returns the council for another plan: what was agreed of each check that
// it still has, or of the one that stood in its place, and who probes it.
func (n *council) carry(p *plan.Plan, old predecessors) *council {
	next := newCouncil(p, n.zone, p.Config.Share.Quorum)
	for i := range p.Checks {
		if j, ok := old.find(&p.Checks[i]); ok {
			next.states[i] = n.states[j]
		}
	}
	next.duty = n.duty.carry(p, old, next.ids)
	next.heard, next.contact, next.id = n.heard, n.contact, n.id
	next.first, next.absent = maps.Clone(n.first), maps.Clone(n.absent)
	next.mute()
	next.take(p, n.read)
	return next
}

// Hear takes what the others hold, as a read that ended at now found it.
func (c *Core) Hear(r share.Read, now time.Time) {
	n := c.council
	before := n.others
	n.heard = now
	n.rank(r, now)
	n.take(c.Plan, r)
	n.duty.meet(n.others, now)
	if n.contactAt(now) != n.contact || n.doubted {
		n.doubted = false
		c.meet(now)
		return
	}
	for i, news := range n.news(before) {
		if news || n.apart[int32(i)] {
			c.refresh(int32(i), now)
		}
	}
}

// meet brings all that is agreed up to date: somebody said something, or contact
// was lost.
func (c *Core) meet(now time.Time) {
	n := c.council
	n.contact = n.contactAt(now)
	for i := range c.states {
		c.refresh(int32(i), now)
	}
}

func (n *council) contactAt(now time.Time) agree.Contact {
	if n.heard.IsZero() {
		return agree.Alone
	}
	return agree.ContactAt(now.Sub(n.heard), len(n.others) > 0)
}

// attend lets time act on what is agreed. It is called once a second.
func (c *Core) attend(now time.Time) {
	n := c.council
	if n == nil {
		return
	}
	if contact := n.contactAt(now); contact != n.contact {
		n.contact = contact
		c.look(now)
		c.meet(now)
		return
	}
	c.look(now)
	for i := range n.apart {
		c.refresh(i, now)
	}
}

// view is what steering sees of check i: what is agreed, or the local verdict if
// nobody shares it. Self-checks are one's own affair.
func (c *Core) view(i int32, now time.Time) health.View {
	mine := c.states[i].View()
	n := c.council
	if n == nil || c.Plan.Checks[i].Region < 0 {
		return mine
	}
	s, voices := &n.states[i], n.voicesOn(i)
	s.Step(agree.Input{
		Mine: mine, Others: voices, Doubting: n.doubting, Contact: n.contact, Quorum: n.quorum, Zone: n.zone,
		Braked: c.Brake.On || n.muted[n.id], Sound: c.sound(), Blind: n.duty.blind(i),
	}, now)
	if s.Apart() {
		n.apart[i] = true
	} else {
		delete(n.apart, i)
	}
	return s.View()
}

// voicesOn returns what the others say of check i, and leaves in doubting who would say
// something but doubts itself. Both hold until it is called again.
func (n *council) voicesOn(i int32) []agree.Voice {
	n.voices, n.doubting = n.voices[:0], n.doubting[:0]
	if n.contact != agree.Agreeing {
		return n.voices
	}
	for _, o := range n.others {
		switch v, ok := o.voice(i); {
		case ok:
			n.voices = append(n.voices, v)
		case o.doubts(i):
			n.doubting = append(n.doubting, agree.Voice{Zone: o.Zone})
		}
	}
	if n.duty.blind(i) {
		n.missing(i)
	}
	return n.voices
}

// missing adds to doubting who is to probe check i and says nothing of it: one that is
// gone, that has not settled, this observer too. What is left of the voices may be one,
// and must not decide alone.
func (n *council) missing(i int32) {
	if n.duty.team == nil {
		n.missingOfAll(i)
		return
	}
	for _, member := range n.assigned(i) {
		if o := n.seats[member]; o == nil || !o.speaks(i) {
			n.doubting = append(n.doubting, agree.Voice{Zone: n.duty.team.Zone(member)})
		}
	}
}

// missingOfAll is missing where all are to probe check i.
func (n *council) missingOfAll(i int32) {
	n.doubting = append(n.doubting, agree.Voice{Zone: n.zone})
	for _, o := range n.others {
		if !o.speaks(i) && !o.muted && o.alike&n.buckets[i] != 0 {
			n.doubting = append(n.doubting, agree.Voice{Zone: o.Zone})
		}
	}
}

// assigned returns the members of the team that are to probe check i. It holds until it is
// called again.
func (n *council) assigned(i int32) []int {
	n.members = n.duty.team.Of(n.ids[i], n.members[:0])
	return n.members
}

// seat finds the members of the team among the others.
func (n *council) seat() {
	n.seats = n.seats[:0]
	if n.duty == nil || n.duty.team == nil {
		return
	}
	for m := range n.duty.team.Size() {
		n.seats = append(n.seats, named(n.others, n.duty.team.Name(m)))
	}
}

// sound reports whether nothing speaks against this observer: most of its
// self-checks pass, or it has none.
func (c *Core) sound() bool {
	now := c.census.take(c.states, c.Plan.Self)
	all := now.SelfPassing + now.SelfFailing
	return all == 0 || 2*now.SelfPassing > all
}
