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

// dueHeap orders entries by due, the earliest first.
type dueHeap []*entry

var _ heap.Interface = (*dueHeap)(nil)

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.pos = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
