package journal

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Size is how many events are kept.
const Size = 10_000

// Journal is a history. Its methods are safe for concurrent use; Add never waits
// for the disk.
type Journal struct {
	mu      sync.Mutex // guards what follows
	events  []Event    // oldest first, at most Size
	last    uint64
	news    chan struct{} // closed at the next event
	file    *file         // nil: in memory only
	problem error         // of the last write
	pending []Event       // for the file

	wake chan struct{} // the writer has something to do
	quit chan struct{} // and nothing more will come
	done chan struct{} // and it is gone; nil if it never was
}

// New returns a journal that is kept in memory until Keep gives it a directory.
func New() *Journal {
	return &Journal{news: make(chan struct{}), wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

// Keep reads the history in dir, puts it before what happened since, and writes
// from now on. Damaged lines are left out and counted: a crash cuts the last one
// short. On error the journal goes on in memory.
func (j *Journal) Keep(dir string) (damaged int, err error) {
	f := &file{dir: dir}
	old, damaged, err := f.load()
	if err != nil {
		return damaged, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		return damaged, nil
	}
	j.pending = slices.Clone(j.events)
	j.events = append(old, j.events...)
	j.trim()
	if n := len(old); n > 0 {
		j.last = max(j.last, old[n-1].ID)
	}
	j.file, j.done = f, make(chan struct{})
	j.signal()
	go j.write(f)
	return damaged, nil
}

// Add takes an event, gives it its ID, and returns it as it is kept.
func (j *Journal) Add(e Event) Event {
	e.Services, e.Endpoints = few(e.Services), few(e.Endpoints)
	e.At = e.At.Round(0) // no monotonic part: as it is read from disk
	j.mu.Lock()
	defer j.mu.Unlock()
	e.ID = max(j.last+1, uint64(max(0, e.At.UnixMicro())))
	j.last = e.ID
	j.events = append(j.events, e)
	j.trim()
	close(j.news)
	j.news = make(chan struct{})
	if j.file != nil {
		j.pending = append(j.pending, e)
		if n := len(j.pending) - Size; n > 0 {
			j.pending = slices.Delete(j.pending, 0, n) // the disk hangs, and the ring has turned
		}
		j.signal()
	}
	return e
}

func few(names []string) []string { return names[:min(len(names), MaxNames)] }

// trim drops what is older than the ring is long, a part at a time, so that it
// costs nothing per event.
func (j *Journal) trim() {
	if n := len(j.events); n >= Size+Size/4 {
		j.events = append(make([]Event, 0, Size+Size/2), j.events[n-Size:]...)
	}
}

// Query says which events are wanted. The zero Query wants all that are kept.
type Query struct {
	Since  time.Time
	After  uint64 // only those with a greater ID
	Target string // region, service or endpoint
	Kinds  []Kind // none: of all
	Limit  int    // the newest so many; 0: all
}

// Find returns events, oldest first.
func (j *Journal) Find(q Query) []Event {
	j.mu.Lock()
	kept := j.events[max(0, len(j.events)-Size):]
	j.mu.Unlock() // what is kept is never written to again
	out := []Event{}
	for i := range kept {
		if e := &kept[i]; e.ID > q.After && !e.At.Before(q.Since) && e.Concerns(q.Target) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) {
			out = append(out, *e)
		}
	}
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[len(out)-q.Limit:]
	}
	return out
}

// Wait returns when there is an event with an ID greater than after, or with
// ctx's error.
func (j *Journal) Wait(ctx context.Context, after uint64) error {
	for {
		j.mu.Lock()
		last, news := j.last, j.news
		j.mu.Unlock()
		if last > after {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Last returns the ID of the newest event, 0 if there is none.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Problem returns why events do not reach the disk now, nil if they do or need
// not.
func (j *Journal) Problem() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.problem
}

// Close writes what is left and lets go of the disk.
func (j *Journal) Close() error {
	j.mu.Lock()
	done := j.done
	kept := j.file != nil
	j.file = nil
	j.mu.Unlock()
	if !kept {
		return nil
	}
	close(j.quit)
	<-done
	return j.Problem()
}
