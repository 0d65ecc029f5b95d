package engine

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A disk that hangs (a volume that stalls with its region) must cost memory of
// the past, never a decision: the loop hands over what is to be written, and goes
// on.
const (
	hangsAfter = 5 * time.Second  // a write of which nothing gets done for longer is told of
	lookMost   = 2 * time.Second  // of it that may pass between two looks: the loop itself may be late
	handWait   = 2 * time.Second  // how long an operator waits to hear that a decision is kept
	closeWait  = 5 * time.Second  // how long a stop waits for a write of which nothing gets done
	closeMost  = 20 * time.Second // how long it waits at most
	backlog    = 256              // writes that wait
)

var (
	errHangs   = errors.New("the disk does not answer")
	errBacklog = errors.New("the disk does not answer, and too much waits for it already")
)

// writer runs writes one after the other, in the order of their handing over.
type writer struct {
	jobs chan job
	done chan struct{}

	steps   func() uint64 // grows while something is written
	moves   atomic.Uint64 // writes that began or ended
	writing atomic.Bool

	// What follows belongs to the loop.
	waiting int           // writes that have not ended
	seen    uint64        // progress at the last look
	looked  time.Time     // when that was
	stuck   time.Duration // for how long there was none, as far as we looked
	hung    bool          // and it was told that it hangs
}

type job struct {
	write  func() error
	result chan error // takes one
}

// startWriter starts a writer; after is called on its goroutine with the outcome
// of each write; steps grows while a write gets on.
func startWriter(after func(error), steps func() uint64) *writer {
	w := &writer{jobs: make(chan job, backlog), done: make(chan struct{}), steps: steps}
	go func() {
		defer close(w.done)
		for j := range w.jobs {
			w.moves.Add(1)
			w.writing.Store(true)
			err := j.write()
			w.writing.Store(false)
			w.moves.Add(1)
			after(err)
			j.result <- err
		}
	}()
	return w
}

// put hands over a write. It never waits.
func (w *writer) put(write func() error) (result <-chan error, err error) {
	j := job{write, make(chan error, 1)}
	select {
	case w.jobs <- j:
	default:
		return nil, errBacklog
	}
	w.waiting++
	return j.result, nil
}

// ended notes that a write ended.
func (w *writer) ended() { w.waiting, w.hung = w.waiting-1, false }

// progress grows with all that the writer gets done.
func (w *writer) progress() uint64 { return w.moves.Load() + w.steps() }

// hangs reports, once, that nothing of a write gets done. It is called once a second.
// A write that is large gets on, and time in which the loop, or all of this process,
// did not run says nothing of the disk.
func (w *writer) hangs(now time.Time) bool {
	p, gap := w.progress(), now.Sub(w.looked)
	w.looked = now
	if !w.writing.Load() || p != w.seen {
		w.seen, w.stuck = p, 0
		return false
	}
	if w.stuck += min(gap, lookMost); w.hung || w.stuck < hangsAfter {
		return false
	}
	w.hung = true
	return true
}

// wrote takes the outcome of a write from the writer's goroutine.
func (e *Engine) wrote(err error) {
	closed := e.Do(func(*Core) {
		e.disk.writer.ended()
		e.disk.note(err)
	})
	if closed != nil && err != nil {
		e.log.Error("state cannot be written: what changed last is forgotten", "error", err)
	}
}

// progress grows with all that is written.
func (d *disk) progress() uint64 {
	if d.writer == nil {
		return 0
	}
	return d.writer.progress()
}

// within runs f and reports whether it ended in time. If not, it goes on alone.
func within(d time.Duration, f func()) bool {
	return whileMoving(d, d, func() uint64 { return 0 }, f)
}

// whileMoving is within for what may take until most, as long as it makes progress in
// each d.
func whileMoving(d, most time.Duration, progress func() uint64, f func()) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	late := time.NewTicker(d)
	defer late.Stop()
	was := progress()
	for waited := d; ; waited += d {
		select {
		case <-ended:
			return true
		case <-late.C:
		}
		now := progress()
		if now == was || waited >= most {
			return false
		}
		was = now
	}
}

// kept waits for the result of a write as long as an operator should.
func kept(result <-chan error, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	late := time.NewTimer(handWait)
	defer late.Stop()
	select {
	case err = <-result:
	case <-late.C:
		err = errHangs
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}
