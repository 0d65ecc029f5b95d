package engine

import (
	"bytes"
	"slices"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

// observer is one of the others. It is not changed once it is made.
type observer struct {
	share.Opinion
	alike  agree.Buckets // in which it judges the same checks, so that what it does not list is Up
	says   []word        // by check
	notUp  int           // checks of this plan that it lists
	down   []int         // by region: of these, that are Down
	probes []int         // by region: checks of this plan that it is known to probe; where it probes all of its own, all
	muted  bool          // its zone has more observers than expected: it has no voice
}

// word is what an observer says of a check.
type word struct {
	verdict health.Verdict // without a voice: what it lists, Unknown if it does not
	cause   health.Cause   // of Down
	listed  bool           // it is not Up for it
	probed  bool           // it probes it, as far as that is known
	voice   bool           // and all checks of its bucket are the same here and there
}

// take makes what the others say fit this plan. Who says what it said before is
// the same as before.
func (n *council) take(p *plan.Plan, r share.Read) {
	before := n.others
	n.read, n.others = r, make([]*observer, 0, len(r.Others))
	for i := range r.Others {
		o := &r.Others[i]
		if was := named(before, o.ID()); was != nil && equal(&was.Opinion, o) && was.muted == n.muted[o.ID()] {
			n.others = append(n.others, was)
		} else {
			n.others = append(n.others, n.observe(p, *o))
		}
	}
	n.seat()
}

// named returns the observer with an ID, nil if there is none.
func named(list []*observer, id string) *observer {
	if i := slices.IndexFunc(list, func(o *observer) bool { return o.ID() == id }); i >= 0 {
		return list[i]
	}
	return nil
}

// news finds the checks of which somebody says something else than before, or has
// come or gone. It holds until it is called again.
func (n *council) news(before []*observer) []bool {
	if n.changed == nil {
		n.changed = make([]bool, len(n.states))
	}
	clear(n.changed)
	for _, o := range n.others {
		if was := named(before, o.ID()); was != o {
			o.differs(was, n.changed)
		}
	}
	for _, was := range before {
		if named(n.others, was.ID()) == nil {
			was.differs(nil, n.changed)
		}
	}
	return n.changed
}

// differs marks the checks of which two observers, or one and nobody, do not say
// the same.
func (o *observer) differs(other *observer, changed []bool) {
	alike := other != nil && o.Zone == other.Zone && o.Braked == other.Braked && o.muted == other.muted
	for i := range o.says {
		if !alike && (o.says[i].voice || other != nil && other.says[i].voice) || alike && o.says[i] != other.says[i] {
			changed[i] = true
		}
	}
}

// observe makes what an observer says fit this plan. Checks that the plan lacks
// are left out.
func (n *council) observe(p *plan.Plan, o share.Opinion) *observer {
	regions := len(p.Config.Regions)
	out := &observer{
		Opinion: o, muted: n.muted[o.ID()], alike: n.digests.Alike(o.Buckets), says: make([]word, len(p.Checks)), down: make([]int, regions), probes: make([]int, regions),
	}
	out.assume(p, n)
	for _, j := range o.Judged {
		if i, ok := n.byID[j.ID]; ok {
			w := &out.says[i]
			w.verdict, w.cause, w.listed = j.Verdict, j.Cause, true
		}
	}
	for i := range o.Summed {
		out.expand(p, n, &o.Summed[i])
	}
	for i := range out.says {
		w, r := &out.says[i], p.Checks[i].Region
		out.notUp += by(w.listed)
		if r >= 0 {
			out.down[r] += by(w.verdict == health.Down)
			out.probes[r] += by(w.probed)
		}
	}
	return out
}

// assume takes what the observer does not list to be Up, where it has a voice.
func (o *observer) assume(p *plan.Plan, n *council) {
	sound := o.alike & n.duty.roster.Sound(o.Assigned)
	for i := range o.says {
		w := &o.says[i]
		w.probed = o.Assigned == nil || sound&n.buckets[i] != 0 && n.duty.roster.Marked(o.Assigned, i)
		if w.voice = w.probed && o.alike&n.buckets[i] != 0 && p.Checks[i].Region >= 0; w.voice {
			w.verdict = health.Up
		}
	}
}

// expand lists what the observer summed up of a region.
func (o *observer) expand(p *plan.Plan, n *council, s *share.Summed) {
	region := slices.IndexFunc(p.Config.Regions, func(r config.Region) bool { return r.Name == s.Region })
	if region < 0 {
		return
	}
	up := make(map[int32]bool, len(s.Except))
	for _, id := range s.Except {
		if i, ok := n.byID[id]; ok {
			up[i] = true
		}
	}
	for i := range p.Checks {
		if w := &o.says[i]; p.Checks[i].Region == region && w.probed && !w.listed && !up[int32(i)] {
			w.verdict, w.cause, w.listed = health.Down, s.Cause, true
		}
	}
}

// voice returns what the observer says of check i.
func (o *observer) voice(i int32) (v agree.Voice, ok bool) {
	w := &o.says[i]
	return agree.Voice{Zone: o.Zone, Verdict: w.verdict, Cause: w.cause}, w.voice && !o.Braked && !o.muted && w.verdict != health.Unknown
}

// speaks reports whether the observer has a voice on check i, or is known to doubt itself.
func (o *observer) speaks(i int32) bool {
	_, ok := o.voice(i)
	return ok || o.doubts(i)
}

// doubts reports whether the observer would have a voice on check i, but doubts itself.
func (o *observer) doubts(i int32) bool { return o.says[i].voice && o.Braked && !o.muted }

// equal reports whether two opinions say the same. That a verdict got older is
// nothing new.
func equal(a, b *share.Opinion) bool {
	return a.Observer == b.Observer && a.Boot == b.Boot && a.Zone == b.Zone && a.Version == b.Version && a.Plan == b.Plan &&
		a.Decision == b.Decision && a.Braked == b.Braked && slices.Equal(a.Buckets, b.Buckets) &&
		(a.Assigned == nil) == (b.Assigned == nil) && slices.EqualFunc(a.Assigned, b.Assigned, bytes.Equal) &&
		slices.EqualFunc(a.Judged, b.Judged, func(x, y share.Judged) bool {
			return x.ID == y.ID && x.Verdict == y.Verdict && x.Cause == y.Cause
		}) &&
		slices.EqualFunc(a.Summed, b.Summed, func(x, y share.Summed) bool {
			return x.Region == y.Region && x.Cause == y.Cause && slices.Equal(x.Except, y.Except)
		})
}

// othersReport reports whether most of the other zones see the regions fail that
// fail here: then it is not us. A zone says what most of its observers do that have
// a voice. One of them alone must not keep the brake off: its token may be stolen.
func (c *Core) othersReport(regions []health.Tally) bool {
	n := c.council
	if n == nil || n.contact != agree.Agreeing {
		return false
	}
	zones, seen := map[string]int{}, 0 // who sees it, less who does not
	for _, o := range n.others {
		if o.Zone == n.zone || o.muted {
			continue
		}
		zones[o.Zone] += 0 // one that doubts itself must be outweighed, too
		switch {
		case o.Braked:
		case o.sees(regions, n.duty.probes):
			zones[o.Zone]++
			seen++
		default:
			zones[o.Zone]--
		}
	}
	yes := 0
	for _, balance := range zones {
		yes += by(balance > 0)
	}
	return 2*yes > len(zones) && seen >= witnesses
}

// witnesses is how many observers must see what this one sees, that it is not us.
const witnesses = 2

// sees reports whether of what the observer probes in each region that fails it
// holds Down at least half as large a part as fails here, of as many as are probed
// here.
func (o *observer) sees(regions []health.Tally, mine []int) bool {
	for r, t := range regions {
		if 2*t.Failed > t.Passing && (o.probes[r] == 0 || 2*o.down[r]*mine[r] < t.Failed*o.probes[r]) {
			return false
		}
	}
	return true
}
