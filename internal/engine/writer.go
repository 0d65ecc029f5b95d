package engine

import (
	"errors"
	"fmt"
	"time"
)

// A disk that hangs (a volume that stalls with its region) must cost memory of
// the past, never a decision: the loop hands over what is to be written, and goes
// on.
const (
	hangsAfter = 5 * time.Second // a write that takes longer is told of
	handWait   = 2 * time.Second // how long an operator waits to hear that a decision is kept
	closeWait  = 5 * time.Second // how long a stop waits for the last write
	backlog    = 256             // writes that wait
)

var (
	errHangs   = errors.New("the disk does not answer")
	errBacklog = errors.New("the disk does not answer, and too much waits for it already")
)

// writer runs writes one after the other, in the order of their handing over.
type writer struct {
	jobs chan job
	done chan struct{}

	// What follows belongs to the loop.
	waiting int       // writes that have not ended
	since   time.Time // that the first of them waits, or is written
	hung    bool      // and it was told that it hangs
}

type job struct {
	write  func() error
	result chan error // takes one
}

// startWriter starts a writer; after is called on its goroutine with the outcome
// of each write.
func startWriter(after func(error)) *writer {
	w := &writer{jobs: make(chan job, backlog), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for j := range w.jobs {
			err := j.write()
			after(err)
			j.result <- err
		}
	}()
	return w
}

// put hands over a write. It never waits.
func (w *writer) put(write func() error, now time.Time) (result <-chan error, err error) {
	j := job{write, make(chan error, 1)}
	select {
	case w.jobs <- j:
	default:
		return nil, errBacklog
	}
	if w.waiting++; w.waiting == 1 {
		w.since = now
	}
	return j.result, nil
}

// ended notes that a write ended.
func (w *writer) ended(now time.Time) { w.waiting, w.since, w.hung = w.waiting-1, now, false }

// hangs reports, once, that a write takes too long.
func (w *writer) hangs(now time.Time) bool {
	if w.hung || w.waiting == 0 || now.Sub(w.since) < hangsAfter {
		return false
	}
	w.hung = true
	return true
}

// wrote takes the outcome of a write from the writer's goroutine.
func (e *Engine) wrote(err error) {
	closed := e.Do(func(*Core) {
		e.disk.writer.ended(time.Now())
		e.disk.note(err)
	})
	if closed != nil && err != nil {
		e.log.Error("state cannot be written: what changed last is forgotten", "error", err)
	}
}

// within runs f and reports whether it ended in time. If not, it goes on alone.
func within(d time.Duration, f func()) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-ended:
		return true
	case <-late.C:
		return false
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
