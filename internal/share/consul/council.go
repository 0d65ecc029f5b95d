package consul

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// Bounds of what is remembered of others.
const (
	maxBoots = 8                           // of one observer
	maxKnown = 2 * maxObservers * maxZones // observers
)

// council remembers what was seen of other observers, so that neither a store that
// lags nor one that was restored from a snapshot brings back what was before.
type council struct {
	merges int
	known  map[string]*peer // by member
}

// peer is an observer through all its starts.
type peer struct {
	first int              // the merge in which it was first seen
	lives map[string]*life // by boot
}

// life is one observer from one start to its end.
type life struct {
	seq     uint64        // the highest that was seen with its who
	opinion share.Opinion // of seq
	heard   bool          // opinion is known: it is not kept while the life is in no store
	since   time.Time     // when that was first seen: its ages are of then
	moved   int           // the merge in which the life was first seen, or last had news
}

// sighting is one observer in one store.
type sighting struct {
	member         string // its part of the key
	zone, observer string
	who            *who
	op             *op
}

func newCouncil() council { return council{known: map[string]*peer{}} }

// merge returns the observers that are seen, by zone and name, of each zone at most
// maxObservers: those that are known for longest. An observer counts if a store
// holds both its keys of one boot. What it holds is its highest seq, wherever and
// whenever that was read, and only together with the assignment it was written for.
//
// Where stores disagree on the boot, the one counts that had news last in the
// order in which this process read: boots are random and clocks are not compared,
// but only one who lives says something new. A boot that was seen before is no
// news, whatever store it comes back in. Where nothing tells (both were there at
// the first read) the observer does not count until one of them moves or goes,
// which a dead one does within 20 s.
func (c *council) merge(seen []sighting, now time.Time) (out []*life) {
	c.merges++
	present := map[string]map[string]*life{}
	for _, s := range seen {
		l := c.life(s.member, s.op.Boot)
		l.hear(&s, now, c.merges)
		if present[s.member] == nil {
			present[s.member] = map[string]*life{}
		}
		present[s.member][s.op.Boot] = l
	}
	byAge := slices.SortedFunc(maps.Keys(present), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.known[a].first, c.known[b].first), cmp.Compare(a, b))
	})
	zones := map[string]int{}
	for _, m := range byAge {
		if l := latest(present[m]); l != nil && l.heard && zones[l.opinion.Zone] < maxObservers {
			zones[l.opinion.Zone]++
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *life) int {
		return cmp.Or(cmp.Compare(a.opinion.Zone, b.opinion.Zone), cmp.Compare(a.opinion.Observer, b.opinion.Observer))
	})
	c.forget(present)
	return out
}

// life returns what is known of an observer's boot, a new one if nothing is.
func (c *council) life(member, boot string) *life {
	p := c.known[member]
	if p == nil {
		p = &peer{first: c.merges, lives: map[string]*life{}}
		c.known[member] = p
	}
	l := p.lives[boot]
	if l == nil {
		l = &life{moved: c.merges}
		p.lives[boot] = l
	}
	return l
}

// hear takes in what a life says in one store, unless more is known already.
func (l *life) hear(s *sighting, now time.Time, merge int) {
	isNew := s.op.Seq > l.seq
	if !isNew && (l.heard || s.op.Seq < l.seq || l.seq == 0) || s.op.AssignedSeq != s.who.AssignedSeq {
		return
	}
	l.seq, l.opinion, l.heard = s.op.Seq, join(s.zone, s.observer, s.who, s.op), true
	if isNew { // else its ages go on
		l.since, l.moved = now, merge
	}
}

// latest returns the life that moved last, nil if more than one did.
func latest(lives map[string]*life) (best *life) {
	tie := false
	for _, l := range lives {
		switch {
		case best == nil || l.moved > best.moved:
			best, tie = l, false
		case l.moved == best.moved:
			tie = true
		}
	}
	if tie {
		return nil
	}
	return best
}

// aged returns the opinion with ages of an instant.
func (l *life) aged(now time.Time) share.Opinion {
	o := l.opinion
	o.Judged = slices.Clone(o.Judged)
	for i := range o.Judged {
		o.Judged[i].Age += now.Sub(l.since)
	}
	return o
}

// forget drops what is too much: what those said that are gone, of each observer the
// boots that moved longest ago, and observers.
func (c *council) forget(present map[string]map[string]*life) {
	for member, p := range c.known {
		if len(c.known) > maxKnown && present[member] == nil {
			delete(c.known, member)
			continue
		}
		p.hush(present[member])
		boots := slices.SortedFunc(maps.Keys(p.lives), func(a, b string) int { return cmp.Compare(p.lives[b].moved, p.lives[a].moved) })
		for _, boot := range boots[min(len(boots), maxBoots):] {
			delete(p.lives, boot)
		}
	}
}

// hush drops what lives said that are in no store.
func (p *peer) hush(present map[string]*life) {
	for boot, l := range p.lives {
		if present[boot] == nil {
			l.opinion, l.heard = share.Opinion{}, false
		}
	}
}
