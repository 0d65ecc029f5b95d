package engine

import (
	"maps"
	"slices"

	"github.com/detour-dns/detour/internal/agree"
)

// clone returns a copy on which anything may be tried, by another goroutine too:
// the two share only what is never changed in place. A field that is added to any
// of these types must be copied here, and TestCloneSharesNothing says which one was
// forgotten.
func (c *Core) clone() *Core {
	out := *c
	out.states, out.views, out.heard = slices.Clone(c.states), slices.Clone(c.views), slices.Clone(c.heard)
	out.census = c.census.clone()
	out.suspects, out.suspect = slices.Clone(c.suspects), slices.Clone(c.suspect)
	out.council = c.council.clone()
	out.overrides, out.freezes = slices.Clone(c.overrides), slices.Clone(c.freezes)
	out.kept = maps.Clone(c.kept)
	out.moved = slices.Clone(c.moved)
	out.dirty = maps.Clone(c.dirty)
	out.turned, out.held = nil, nil // the one who tries tells nobody
	return &out
}

func (c *census) clone() census {
	return census{
		mark: slices.Clone(c.mark), was: slices.Clone(c.was), failed: slices.Clone(c.failed),
		region: slices.Clone(c.region), tallies: slices.Clone(c.tallies),
	}
}

// clone returns nil for a core that shares with nobody.
func (n *council) clone() *council {
	if n == nil {
		return nil
	}
	out := *n
	out.ids, out.buckets, out.byID = slices.Clone(n.ids), slices.Clone(n.buckets), maps.Clone(n.byID)
	out.states, out.others, out.apart = slices.Clone(n.states), slices.Clone(n.others), maps.Clone(n.apart)
	out.voices, out.doubting, out.members, out.changed = nil, nil, nil, nil // scratch
	out.seats = slices.Clone(n.seats)
	out.duty = n.duty.clone()
	out.expect, out.first, out.absent, out.muted = maps.Clone(n.expect), maps.Clone(n.first), maps.Clone(n.absent), maps.Clone(n.muted)
	return &out
}

func (d *duty) clone() *duty {
	out := *d
	out.since = maps.Clone(d.since)
	out.team, out.next = cloneTeam(d.team), cloneTeam(d.next)
	out.share, out.part, out.at = slices.Clone(d.share), slices.Clone(d.part), slices.Clone(d.at)
	out.probes, out.needs = slices.Clone(d.probes), nil
	out.asked = asked{first: slices.Clone(d.asked.first), count: slices.Clone(d.asked.count), at: slices.Clone(d.asked.at)}
	return &out
}

// cloneTeam copies a team, whose scratch space even its questions write to.
func cloneTeam(t *agree.Team) *agree.Team {
	if t == nil {
		return nil
	}
	return t.Clone()
}
