package monitor

import (
	"fmt"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

const (
	// grain is the least time between two rounds of the scheduler: with
	// thousands of checks a second, waking up for each would cost more than
	// probing. Probes start late by at most this.
	grain = 10 * time.Millisecond

	// idle is how long the scheduler sleeps when nothing is scheduled.
	idle = time.Hour
)

// schedule is the scheduler's goroutine.
func (m *Monitor) schedule() {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for m.ctx.Err() == nil {
		timer.Reset(m.round(time.Now()))
		select {
		case <-timer.C:
		case <-m.kick:
		case <-m.ctx.Done():
		}
	}
}

// round starts what is due and may start, and returns how long to sleep.
func (m *Monitor) round(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.popLocked(now); e != nil; e = m.popLocked(now) {
		e.woke = now
		m.waitLocked(e)
	}
	m.startLocked()
	if len(m.queue) == 0 {
		return idle
	}
	return max(time.Duration(m.queue[0].due)-now.Sub(m.epoch), grain)
}

// startLocked starts waiting probes, one region after the other, as far as the
// limits go.
func (m *Monitor) startLocked() {
	for len(m.ring) > 0 && m.inFlight < m.max {
		r := m.ring[0]
		last := copy(m.ring, m.ring[1:])
		if r.inFlight >= r.share || len(r.waiting) == 0 {
			r.inRing = false
			m.ring = m.ring[:last]
			continue
		}
		m.ring[last] = r
		m.launchLocked(r.pop())
	}
}

// launchLocked starts the probe of an entry that left its region's list.
func (m *Monitor) launchLocked(e *entry) {
	now := time.Now()
	m.missed += uint64(now.Sub(e.due) / e.check.Interval)
	m.waiting--
	m.inFlight++
	e.region.inFlight++
	e.state, e.flown = flying, now
	f := &flight{entry: e, check: e.check, region: e.region, launched: now, late: e.woke.Sub(e.due)}
	m.wg.Go(func() { m.fly(f) })
}

// flight is one probe under way. It has copies of what Set may change.
type flight struct {
	entry    *entry
	check    Check
	region   *region
	launched time.Time
	late     time.Duration // how late the scheduler woke up for it; not how long it waited for its share
}

// fly runs one probe. Its share is given back only when the report is taken: a
// slow reader slows the probes down, instead of piling up goroutines.
func (m *Monitor) fly(f *flight) {
	start := time.Now()
	late := max(f.late, start.Sub(f.launched))
	res := f.check.Prober.Probe(m.ctx, f.check.Target)
	if late > f.check.Timeout/4 {
		res = health.Result{
			At: res.At, Cause: health.CauseLate, Steps: res.Steps,
			Detail: fmt.Sprintf("started %s late", late.Round(time.Millisecond)),
		}
	}
	if m.wanted(f.entry) {
		select {
		case m.out <- Report{ID: f.check.ID, Start: start, Result: res}:
		case <-m.ctx.Done():
		}
	}
	m.land(f, start)
}

// wanted reports whether anybody asked for the result of a probe that ended.
func (m *Monitor) wanted(e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return e.state != gone && m.ctx.Err() == nil
}

// land gives back the flight's share and schedules the check's next probe.
func (m *Monitor) land(f *flight, start time.Time) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	f.region.inFlight--
	m.turnLocked(f.region)
	earliest := false
	if e := f.entry; e.state == flying {
		earliest = m.returnLocked(e, start, now)
	}
	if earliest || m.waiting > 0 {
		m.wake()
	}
}

// returnLocked puts an entry back into the queue after a probe. It reports
// whether the entry is now the first.
func (m *Monitor) returnLocked(e *entry, start, now time.Time) bool {
	e.done, e.due = start, e.next(start)
	e.hurry = time.Time{}
	if e.due.Before(now) {
		// The probe, or the reader, took longer than the check can wait. That is
		// no late start: what is due now is due now.
		m.missed += uint64(now.Sub(e.due) / e.check.Interval)
		e.due = now
	}
	m.pushLocked(e)
	return e.pos == 0
}

// hurryLocked moves an entry's next probe forward to at.
func (m *Monitor) hurryLocked(e *entry, at time.Time) {
	switch e.state {
	case scheduled:
		if at.Before(e.due) {
			// Not into the past: what is asked for now is not late.
			e.due = later(at, time.Now())
			m.moveLocked(e)
			m.wake()
		}
	case flying:
		// A wish from before the start is already met.
		if at.After(e.flown) && (e.hurry.IsZero() || at.Before(e.hurry)) {
			e.hurry = at
		}
	case waiting, gone:
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
