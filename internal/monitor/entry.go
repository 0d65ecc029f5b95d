package monitor

import (
	"container/heap"
	"time"
)

// state is where an entry is.
//
//	scheduled --due--> waiting --share free--> flying --end--> scheduled
//	     any --Set without it--> gone
type state uint8

const (
	scheduled state = iota // in Monitor.queue
	waiting                // in its region's list
	flying                 // its probe is under way
	gone                   // removed; a probe may still be under way
)

// entry is a check and its schedule.
//
// slots lie at base + n x Interval for all whole n. They keep the checks spread
// whatever Hurry, pauses and queues did to single probes.
type entry struct {
	check  Check
	region *region
	state  state
	pos    int // in the heap

	base  time.Time // any one slot
	due   time.Time // of the next probe, or of the present one
	hurry time.Time // wish that came while flying; zero if none
	woke  time.Time // when the scheduler saw that the probe was due
	flown time.Time // start of the present probe, or of the last
	done  time.Time // start of the last probe that ended, zero if none did
}

// overdue reports whether the probe that should have started has not, for one
// interval or longer.
func (e *entry) overdue(now time.Time) bool {
	due := e.due
	if e.state == flying {
		due = due.Add(e.check.Interval)
	}
	return now.Sub(due) >= e.check.Interval
}

// slotAfter returns the first slot after t.
func (e *entry) slotAfter(t time.Time) time.Time {
	n := t.Sub(e.base) / e.check.Interval
	slot := e.base.Add(n * e.check.Interval)
	if !slot.After(t) {
		slot = slot.Add(e.check.Interval)
	}
	return slot
}

// next returns when the probe after one that started at start is due: at the
// next slot, so that two starts are never more than an interval apart, but not
// before Confirm, so that one burst of loss cannot fail several probes in a row.
func (e *entry) next(start time.Time) time.Time {
	slot, least := e.slotAfter(start), start.Add(min(e.check.Confirm, e.check.Interval))
	if slot.Before(least) {
		slot = least
	}
	if !e.hurry.IsZero() && e.hurry.Before(slot) {
		slot = e.hurry
	}
	return slot
}

// ticket is an entry's place in the queue. It has a copy of the time, so that
// ordering thousands of entries does not have to visit them.
type ticket struct {
	due   int64 // nanoseconds since Monitor.epoch
	entry *entry
}

// dueHeap orders tickets by due, the earliest first.
type dueHeap []ticket

// Len implements heap.Interface, as do the methods below.
func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].entry.pos, h[j].entry.pos = i, j
}

// Push is not used: see Monitor.pushLocked.
func (h *dueHeap) Push(any) {}

// Pop drops the last ticket.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	(*h)[last] = ticket{}
	*h = (*h)[:last]
	return nil
}

// pushLocked puts an entry into the queue.
func (m *Monitor) pushLocked(e *entry) {
	e.state, e.pos = scheduled, len(m.queue)
	m.queue = append(m.queue, ticket{due: int64(e.due.Sub(m.epoch)), entry: e})
	heap.Fix(&m.queue, e.pos)
}

// moveLocked puts an entry of the queue where its due belongs.
func (m *Monitor) moveLocked(e *entry) {
	m.queue[e.pos].due = int64(e.due.Sub(m.epoch))
	heap.Fix(&m.queue, e.pos)
}

// popLocked takes the first entry out of the queue if it is due.
func (m *Monitor) popLocked(now time.Time) *entry {
	if len(m.queue) == 0 || m.queue[0].due > int64(now.Sub(m.epoch)) {
		return nil
	}
	e := m.queue[0].entry
	heap.Pop(&m.queue)
	return e
}
