package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/agree"
)

// meet notes who is there. Who doubts itself is not.
func (d *duty) meet(others []*observer, now time.Time) {
	before := d.since
	d.since = make(map[presence]time.Time, len(others))
	for _, o := range others {
		if o.Braked || o.muted {
			continue
		}
		who := presence{o.ID(), o.Boot}
		since, ok := before[who]
		if !ok {
			since = now
		}
		d.since[who] = since
	}
}

// leans reports whether the others are heard so well that they may be relied on.
// Whoever is first to find that a store is dead must still find a region that died
// with it in time.
func (n *council) leans(now time.Time) bool {
	return n.contact == agree.Agreeing && now.Sub(n.heard) <= leansFor
}

// assemble returns the team that could divide the checks now, nil if they are not
// to be divided: too few are there, or the others are not heard.
func (n *council) assemble(now time.Time) *agree.Team {
	d := n.duty
	if !n.leans(now) {
		return nil
	}
	team := []agree.Member{{Name: d.id, Zone: n.zone, Alike: agree.AllBuckets}}
	for _, o := range n.others {
		if since, ok := d.since[presence{o.ID(), o.Boot}]; ok && now.Sub(since) >= joinAfter && o.alike != 0 {
			team = append(team, agree.Member{Name: o.ID(), Zone: o.Zone, Alike: o.alike})
		}
	}
	if !agree.Divided(len(team), d.rate, d.easy) {
		return nil
	}
	return agree.NewTeam(team, max(agree.Least, 2*n.quorum-1)) // so that none of them alone can withhold a quorum
}

// divide divides the checks anew once who is there has stayed the same for a
// moment. Where the others are not heard, it waits for nothing.
func (c *Core) divide(now time.Time) {
	n := c.council
	d := n.duty
	next := n.assemble(now)
	switch {
	case sameTeam(next, d.team) && !d.fresh:
		d.next, d.changing = nil, time.Time{}
		return
	case d.changing.IsZero():
		d.changing, d.nextAt, d.next = now, now, next
	case !sameTeam(next, d.next):
		d.nextAt, d.next = now, next
	}
	waits := now.Sub(d.nextAt) < teamSettle && now.Sub(d.changing) < teamLatest
	if waits && !d.fresh && n.leans(now) {
		return
	}
	d.team, d.next, d.changing, d.fresh = next, nil, time.Time{}, false
	n.seat()
	c.shareOut(now)
	for i := range d.part {
		if d.blind(int32(i)) { // who is to speak of it may be another
			c.refresh(int32(i), now)
		}
	}
}

func sameTeam(a, b *agree.Team) bool { return a == b || a != nil && a.Same(b) }

// shareOut finds the checks that are this observer's by the team.
func (c *Core) shareOut(now time.Time) {
	n := c.council
	d := n.duty
	if d.share = nil; d.team == nil {
		return
	}
	if d.at == nil {
		d.at = make([]time.Time, len(d.part))
		for i := range d.at {
			d.at[i] = now
		}
	}
	me := d.team.Find(d.id)
	d.share = make([]bool, len(d.part))
	for i := range d.share {
		k := &c.Plan.Checks[i]
		d.share[i] = k.Region < 0 || k.Told() || d.team.Probes(me, n.ids[i])
	}
}
