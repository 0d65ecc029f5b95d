// Package monitor runs checks: each at its interval, within limits that keep a
// silent region from delaying the probes of the others. It keeps no verdicts.
//
// One goroutine decides who is next; a probe under way is a goroutine, and
// nothing else is: parked workers would keep the runtime's starting stacks
// small, and every query of the process would pay for growing its own.
package monitor

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/prober"
)

// Check is one thing to probe again and again.
type Check struct {
	ID       uint64 // stable: made of what is checked, not of where it stands
	Region   string // whose share of the probes in flight it uses
	Target   prober.Target
	Prober   prober.Prober
	Interval time.Duration // start to start, above 0
	Timeout  time.Duration // what Prober keeps to; 0 < Timeout <= Interval
	Confirm  time.Duration // least distance between two starts where Hurry asks for less than Interval
	First    time.Duration // within what time a new check is probed first, at most Interval; 0: 1 s
}

// Report is the outcome of one probe of one check.
type Report struct {
	ID     uint64
	Start  time.Time // when the probe began; a consumer drops what is older than what it has
	Result health.Result
}

// Options are what a Monitor takes from its surroundings.
type Options struct {
	// Out takes every report. A reader that is slow holds back probes; one that
	// left does not hold back Close. Give it room for a burst (1,024).
	Out chan<- Report

	// MaxInFlight limits the probes under way, all regions together. 0 means
	// twice what the checks need when all are silent, at least 256, and never so
	// many that they could use more than half of the file descriptors.
	MaxInFlight int

	// Rand returns numbers in [0, 1), to spread the checks; nil means math/rand.
	Rand func() float64
}

// Stats is the state of the scheduler at one instant.
type Stats struct {
	Checks      int
	InFlight    int
	Waiting     int    // due, held back by a limit
	Overdue     int    // late by one interval or more, now: we cannot keep up
	Missed      uint64 // rounds that never ran, since the start
	MaxInFlight int

	// LastRound is an instant since when every check has been probed to the
	// end; zero while some check never was.
	LastRound time.Time
}

// Monitor runs checks. Its methods are safe for concurrent use.
type Monitor struct {
	out   chan<- Report
	limit int // Options.MaxInFlight
	rand  func() float64
	epoch time.Time // what the queue counts from

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the scheduler and the probes in flight
	kick   chan struct{}  // one slot: something may be due earlier than thought

	mu       sync.Mutex // guards what follows
	checks   map[uint64]*entry
	queue    dueHeap // entries in state scheduled
	regions  map[string]*region
	ring     []*region // regions that may have entries waiting, in turn
	max      int       // probes in flight, all regions together
	inFlight int
	waiting  int
	missed   uint64
}

// New starts a monitor without checks.
func New(o Options) *Monitor {
	m := &Monitor{
		out: o.Out, limit: o.MaxInFlight, rand: o.Rand, epoch: time.Now(),
		kick: make(chan struct{}, 1), checks: map[uint64]*entry{}, regions: map[string]*region{},
	}
	if m.rand == nil {
		m.rand = rand.Float64
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.max = autoLimit(nil, m.limit)
	m.wg.Go(m.schedule)
	return m
}

// Close stops the probes in flight and waits for them. No report is sent after
// it returns. It may be called more than once.
func (m *Monitor) Close() {
	m.cancel()
	m.wg.Wait()
}

// Hurry makes the next probe of a check start no later than at: at once if that
// is past, and when the present one ends if one is under way. Unknown checks are
// ignored.
func (m *Monitor) Hurry(id uint64, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.checks[id]; e != nil {
		m.hurryLocked(e, at)
	}
}

// Now makes the next probe of some checks, or of all if none is named, start at
// once.
func (m *Monitor) Now(ids ...uint64) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if e := m.checks[id]; e != nil {
			m.hurryLocked(e, now)
		}
	}
	if len(ids) == 0 {
		for _, e := range m.checks {
			m.hurryLocked(e, now)
		}
	}
}

// Stats returns the scheduler's state.
func (m *Monitor) Stats() Stats {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{
		Checks: len(m.checks), InFlight: m.inFlight, Waiting: m.waiting,
		Missed: m.missed, MaxInFlight: m.max, LastRound: now,
	}
	for _, e := range m.checks {
		if e.overdue(now) {
			s.Overdue++
		}
		if e.done.Before(s.LastRound) {
			s.LastRound = e.done
		}
	}
	if len(m.checks) == 0 {
		s.LastRound = time.Time{}
	}
	return s
}

// wake tells the scheduler to look again.
func (m *Monitor) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}
