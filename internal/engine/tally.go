package engine

import (
	"maps"
	"slices"
	"time"
)

// Tally is what an engine counted since it started. Nothing in it ever goes back,
// but for what belonged to a service that the configuration no longer has.
type Tally struct {
	Moves   map[Moved]uint64     // services that moved
	Refused map[string]uint64    // moves that were wanted and not made, by why: see the constants
	Builds  Histogram            // building a snapshot
	Probes  map[string]Histogram // probes that reached an end, by type of monitor
}

// Moved is a service's move between sets of regions ("a+b", or "nothing"). Why is
// the reason of the answers that it gives since, or "reload".
type Moved struct{ Service, From, To, Why string }

// Why a move that was wanted is not made.
const (
	RefusedCap      = "cap"       // a region would be down, but too many are out already
	RefusedBrake    = "brake"     // a check would be down, but we doubt ourselves
	RefusedFrozen   = "frozen"    // a service would move, but an operator froze it
	RefusedNoBackup = "no_backup" // a service has nothing healthy to move to
	RefusedVoid     = "void"      // a drain would leave a service without any endpoint
	RefusedObserve  = "observe"   // a service would move, but is only observed
	RefusedReload   = "reload"    // a new configuration would move too many services
)

// Histogram counts durations, in seconds.
type Histogram struct {
	Bounds []float64 // upper bounds, ascending
	Counts []uint64  // of durations up to each bound
	Count  uint64
	Sum    float64
}

func newHistogram(bounds ...float64) *Histogram {
	return &Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds))}
}

func (h *Histogram) add(d time.Duration) {
	s := d.Seconds()
	h.Count++
	h.Sum += s
	for i := len(h.Bounds) - 1; i >= 0 && s <= h.Bounds[i]; i-- {
		h.Counts[i]++
	}
}

func (h *Histogram) clone() Histogram {
	return Histogram{h.Bounds, slices.Clone(h.Counts), h.Count, h.Sum}
}

// counters are a Tally in the making. They belong to the loop.
type counters struct {
	moves   map[Moved]uint64
	refused map[string]uint64
	builds  *Histogram
	probes  map[string]*Histogram
}

func newCounters() counters {
	c := counters{
		moves: map[Moved]uint64{}, probes: map[string]*Histogram{}, refused: map[string]uint64{},
		builds: newHistogram(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
	}
	for _, why := range []string{RefusedCap, RefusedBrake, RefusedFrozen, RefusedNoBackup, RefusedVoid, RefusedObserve, RefusedReload} {
		c.refused[why] = 0 // so that an increase can be seen from the first on
	}
	return c
}

// probed counts a probe.
func (c *counters) probed(kind string, d time.Duration) {
	h := c.probes[kind]
	if h == nil {
		h = newHistogram(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
		c.probes[kind] = h
	}
	h.add(d)
}

// keepOnly forgets the moves of services that are no more.
func (c *counters) keepOnly(services map[string]bool) {
	maps.DeleteFunc(c.moves, func(m Moved, _ uint64) bool { return !services[m.Service] })
}

// Tally returns what was counted since the start. After Close it is empty.
func (e *Engine) Tally() Tally {
	t := Tally{Probes: map[string]Histogram{}}
	_ = e.Do(func(*Core) {
		t.Moves, t.Refused = maps.Clone(e.count.moves), maps.Clone(e.count.refused)
		t.Builds = e.count.builds.clone()
		for kind, h := range e.count.probes {
			t.Probes[kind] = h.clone()
		}
	})
	return t
}
