package engine

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

// council is what the other observers hold, and what is agreed with them. A core
// that shares with nobody has none. What is in it belongs to one plan.
type council struct {
	quorum  int
	zone    string
	digest  string // of the plan's checks
	digests agree.Digests
	ids     []uint64
	buckets []agree.Buckets // by check: the one that it is in
	byID    map[uint64]int32
	states  []agree.State // by check
	apart   map[int32]bool
	read    share.Read
	others  []*observer // those in read; never changed in place
	heard   time.Time   // when the last good read ended, zero if none did
	contact agree.Contact
	voices  []agree.Voice // scratch
}

// observer is one of the others. It is not changed once it is made.
type observer struct {
	share.Opinion
	alike    agree.Buckets          // in which it judges the same checks, so that what it does not list is Up
	assigned map[int32]bool         // nil: all of them
	judged   map[int32]share.Judged // what is not Up
	down     []int                  // by region: checks
}

// Join makes the core agree with others from now on. Until it hears of any, the
// local verdicts count.
func (c *Core) Join(zone string, quorum int, now time.Time) {
	c.council = newCouncil(c.Plan, zone, quorum)
	c.meet(now)
}

func newCouncil(p *plan.Plan, zone string, quorum int) *council {
	n := &council{
		quorum: quorum, zone: zone, ids: make([]uint64, len(p.Checks)), byID: make(map[uint64]int32, len(p.Checks)),
		states: make([]agree.State, len(p.Checks)), apart: map[int32]bool{}, buckets: make([]agree.Buckets, len(p.Checks)),
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
// it still has, or of the one that stood in its place.
func (n *council) carry(p *plan.Plan, old predecessors) *council {
	next := newCouncil(p, p.Config.Self.Zone, p.Config.Share.Quorum)
	for i := range p.Checks {
		if j, ok := old.find(&p.Checks[i]); ok {
			next.states[i] = n.states[j]
		}
	}
	next.heard, next.contact = n.heard, n.contact
	next.take(p, n.read)
	return next
}

// clone returns a copy on which a plan may be tried.
func (n *council) clone() *council {
	if n == nil {
		return nil
	}
	out := *n
	out.states = slices.Clone(n.states)
	out.apart, out.voices = map[int32]bool{}, nil
	return &out
}

// Hear takes what the others hold, as a read that ended at now found it.
func (c *Core) Hear(r share.Read, now time.Time) {
	c.council.heard = now
	c.council.take(c.Plan, r)
	c.meet(now)
}

func (n *council) take(p *plan.Plan, r share.Read) {
	n.read, n.others = r, make([]*observer, 0, len(r.Others))
	for _, o := range r.Others {
		n.others = append(n.others, n.observe(p, o))
	}
}

// observe makes what an observer says fit this plan. Checks that the plan lacks
// are left out.
func (n *council) observe(p *plan.Plan, o share.Opinion) *observer {
	out := &observer{
		Opinion: o, alike: n.digests.Alike(o.Buckets), judged: make(map[int32]share.Judged, len(o.Judged)), down: make([]int, len(p.Config.Regions)),
	}
	for _, j := range o.Judged {
		if i, ok := n.byID[j.ID]; ok {
			out.judged[i] = j
		}
	}
	for i := range o.Summed {
		out.expand(p, n, &o.Summed[i])
	}
	out.assigned = n.known(o.Assigned)
	for i, j := range out.judged {
		if r := p.Checks[i].Region; r >= 0 && j.Verdict == health.Down {
			out.down[r]++
		}
	}
	return out
}

// known returns the checks of this plan among ids, nil if ids is.
func (n *council) known(ids []uint64) map[int32]bool {
	if ids == nil {
		return nil
	}
	out := make(map[int32]bool, len(ids))
	for _, id := range ids {
		if i, ok := n.byID[id]; ok {
			out[i] = true
		}
	}
	return out
}

// expand lists what the observer summed up of a region.
func (o *observer) expand(p *plan.Plan, n *council, s *share.Summed) {
	up := n.known(s.Except)
	for i := range p.Checks {
		r, i := p.Checks[i].Region, int32(i)
		if _, listed := o.judged[i]; listed || up[i] || r < 0 || p.Config.Regions[r].Name != s.Region {
			continue
		}
		o.judged[i] = share.Judged{ID: n.ids[i], Verdict: health.Down, Cause: s.Cause}
	}
}

// judges reports whether the observer is known to judge check i as this one does:
// all checks of its bucket are the same, and it is assigned to it.
func (n *council) judges(o *observer, i int32) bool {
	return o.alike&n.buckets[i] != 0 && (o.assigned == nil || o.assigned[i])
}

// voice returns what the observer says of check i.
func (n *council) voice(o *observer, i int32) (v agree.Voice, ok bool) {
	if o.Braked || !n.judges(o, i) {
		return v, false
	}
	j, listed := o.judged[i]
	switch {
	case !listed:
		return agree.Voice{Zone: o.Zone, Verdict: health.Up}, true
	case j.Verdict == health.Unknown:
		return v, false
	}
	return agree.Voice{Zone: o.Zone, Verdict: j.Verdict, Cause: j.Cause}, true
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
	if n.contactAt(now) != n.contact {
		c.meet(now)
		return
	}
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
	n.voices = n.voices[:0]
	if n.contact == agree.Agreeing {
		for _, o := range n.others {
			if v, ok := n.voice(o, i); ok {
				n.voices = append(n.voices, v)
			}
		}
	}
	s := &n.states[i]
	s.Step(agree.Input{
		Mine: mine, Others: n.voices, Contact: n.contact, Quorum: n.quorum, Zone: n.zone,
		Braked: c.Brake.On, Sound: c.sound(),
	}, now)
	if s.Apart() {
		n.apart[i] = true
	} else {
		delete(n.apart, i)
	}
	return s.View()
}

// sound reports whether nothing speaks against this observer: most of its
// self-checks pass, or it has none.
func (c *Core) sound() bool {
	now := c.census.take(c.states, c.Plan.Self)
	all := now.SelfPassing + now.SelfFailing
	return all == 0 || 2*now.SelfPassing > all
}

// othersReport reports whether an observer in another zone, which does not doubt
// itself, sees the regions fail that fail here: then it is not us.
func (c *Core) othersReport(regions []health.Tally) bool {
	n := c.council
	if n == nil || n.contact != agree.Agreeing {
		return false
	}
	return slices.ContainsFunc(n.others, func(o *observer) bool { return o.Zone != n.zone && !o.Braked && o.sees(regions) })
}

// sees reports whether the observer holds Down at least half of what fails in each
// region that fails.
func (o *observer) sees(regions []health.Tally) bool {
	for r, t := range regions {
		if 2*t.Failed > t.Passing && 2*o.down[r] < t.Failed {
			return false
		}
	}
	return true
}
