package monitor

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// firstRound is how long the first round of new checks takes unless they say, at
// most: long enough that thousands of connections do not leave at once, short enough that
// a start can wait for it.
const firstRound = time.Second

// golden spreads any number of checks evenly, in any order of coming.
const golden = 0.6180339887498949

// Set replaces the checks. Those whose ID stays keep their schedule, also when a
// probe of theirs is under way; new ones are probed within First for the first
// time, then spread over the interval; results of checks that are
// no longer there are dropped. Of checks with the same ID the first counts.
func (m *Monitor) Set(checks []Check) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.checks
	m.checks = make(map[uint64]*entry, len(checks))
	for _, r := range m.regions {
		r.checks, r.need = 0, 0
	}
	spread := m.rand()
	for _, c := range checks {
		if m.checks[c.ID] != nil {
			continue
		}
		spread = frac(spread + golden)
		e := old[c.ID]
		if e == nil {
			e = m.addLocked(c, now, spread)
		} else {
			m.changeLocked(e, c, now, spread)
		}
		m.checks[c.ID] = e
		e.region.checks++
		e.region.need += c.need()
		delete(old, c.ID)
	}
	for _, e := range old {
		m.removeLocked(e)
	}
	m.pruneLocked()
	m.shareLocked()
	m.wake()
}

func frac(f float64) float64 {
	if f >= 1 {
		return f - 1
	}
	return f
}

// part returns a share of d.
func part(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }

func (m *Monitor) regionLocked(name string) *region {
	r := m.regions[name]
	if r == nil {
		r = &region{name: name}
		m.regions[name] = r
	}
	return r
}

// addLocked schedules a new check: the first probe within the first round, the
// second one within the interval that follows it, at most an interval later.
func (m *Monitor) addLocked(c Check, now time.Time, spread float64) *entry {
	first := min(c.Interval, cmp.Or(c.First, firstRound))
	e := &entry{
		check: c, region: m.regionLocked(c.Region),
		due:  now.Add(part(first, spread)),
		base: now.Add(first + part(c.Interval, spread)),
	}
	m.pushLocked(e)
	return e
}

// changeLocked gives an entry its check's new form.
func (m *Monitor) changeLocked(e *entry, c Check, now time.Time, spread float64) {
	before := e.check
	e.check = c
	if r := m.regionLocked(c.Region); r != e.region {
		if e.state == waiting {
			e.region.waiting = slices.DeleteFunc(e.region.waiting, func(x *entry) bool { return x == e })
			m.waiting--
			e.region = r
			m.waitLocked(e)
		}
		e.region = r
	}
	if c.Interval == before.Interval {
		return
	}
	e.base = now.Add(part(c.Interval, spread))
	if e.state == scheduled && e.base.Before(e.due) {
		e.due = e.base
		m.moveLocked(e)
	}
}

// removeLocked takes an entry out of every list.
func (m *Monitor) removeLocked(e *entry) {
	switch e.state {
	case scheduled:
		heap.Remove(&m.queue, e.pos)
	case waiting:
		e.region.waiting = slices.DeleteFunc(e.region.waiting, func(x *entry) bool { return x == e })
		m.waiting--
	case flying, gone:
	}
	e.state = gone
}

// pruneLocked forgets regions without checks. Flights that are still under way
// there count in the whole, and give back to a region that nobody asks.
func (m *Monitor) pruneLocked() {
	for name, r := range m.regions {
		if r.checks == 0 {
			delete(m.regions, name)
		}
	}
}
