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
	maxBoots = 8   // of one observer
	maxKnown = 256 // observers
)

// council remembers what was seen of other observers, so that neither a store that
// lags nor one that was restored from a snapshot brings back what was before.
type council struct {
	merges int
	known  map[string]map[string]*life // by observer and boot
}

// life is one observer from one start to its end.
type life struct {
	seq     uint64        // the highest that was seen with its who
	opinion share.Opinion // of seq
	since   time.Time     // when that was first seen: its ages are of then
	moved   int           // the merge in which the life was first seen, or last had news
}

// sighting is one observer in one store.
type sighting struct {
	observer string
	who      *who
	op       *op
}

func newCouncil() council { return council{known: map[string]map[string]*life{}} }

// merge returns the observers that are seen, by name. An observer counts
// if a store holds both its keys of one boot. What it holds is its highest seq,
// wherever and whenever that was read, and only together with the assignment it
// was written for.
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
		l := c.life(s.observer, s.op.Boot)
		if s.op.Seq > l.seq && s.op.AssignedSeq == s.who.AssignedSeq {
			l.seq, l.opinion, l.since, l.moved = s.op.Seq, join(s.observer, s.who, s.op), now, c.merges
		}
		if present[s.observer] == nil {
			present[s.observer] = map[string]*life{}
		}
		present[s.observer][s.op.Boot] = l
	}
	for _, observer := range slices.Sorted(maps.Keys(present)) {
		if l := latest(present[observer]); l != nil && l.seq > 0 {
			out = append(out, l)
		}
	}
	c.forget(present)
	return out[:min(len(out), maxObservers)]
}

// life returns what is known of an observer's boot, a new one if nothing is.
func (c *council) life(observer, boot string) *life {
	lives := c.known[observer]
	if lives == nil {
		lives = map[string]*life{}
		c.known[observer] = lives
	}
	l := lives[boot]
	if l == nil {
		l = &life{moved: c.merges}
		lives[boot] = l
	}
	return l
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

// forget drops what is too much: of each observer the boots that moved longest ago,
// and observers that are gone.
func (c *council) forget(present map[string]map[string]*life) {
	for observer, lives := range c.known {
		if len(c.known) > maxKnown && present[observer] == nil {
			delete(c.known, observer)
			continue
		}
		boots := slices.SortedFunc(maps.Keys(lives), func(a, b string) int { return cmp.Compare(lives[b].moved, lives[a].moved) })
		for _, boot := range boots[min(len(boots), maxBoots):] {
			delete(lives, boot)
		}
	}
}
