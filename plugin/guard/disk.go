package guard

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

const (
	saveEvery  = 3 * time.Second  // what changed is at most so long not on disk
	staleEvery = time.Minute      // where only times did
	hangsAfter = 5 * time.Second  // a disk that takes longer is told of
	openWait   = 2 * time.Second  // how long a start waits for the disk
	proveStart = 10 * time.Second // a start that lived so long went well
	crashes    = 3                // starts in a row that ended early, until the last good memory is used
	copyEvery  = 6 * time.Hour    // between copies of the file
	copySoon   = time.Minute      // after a name was dropped: it must not come back
	maxLoaded  = 200000           // names
	batch      = 1000             // names in one transaction
)

// disk is the file of one state directory. What it holds is a convenience: a disk
// that is missing, full or hangs costs memory of the past, never an answer.
type disk struct {
	home *bureau
	dir  string
	stop chan struct{}
	done chan struct{}

	copied  guard.Stamp // when the file was copied; this and the next are run's
	dropped bool        // names were, since then

	busy atomic.Int64 // since when it is at work, as a Stamp; 0 = it is not
	hung atomic.Bool  // told that it does not answer
	late atomic.Bool  // what was loaded was not taken in yet

	mu    sync.Mutex // guards what follows
	store *state.Store
	from  state.Bucket // what is read from it
	fault string       // why it fails, "" if it does not; that was told
}

// openDisk opens the file of a directory and begins to keep it up. It waits only
// so long: a disk that hangs is read when it answers.
func openDisk(dir string, home *bureau) *disk {
	d := &disk{home: home, dir: dir, stop: make(chan struct{}), done: make(chan struct{})}
	opened := make(chan struct{})
	go d.run(opened)
	t := time.NewTimer(openWait)
	defer t.Stop()
	select {
	case <-opened:
	case <-t.C:
		log.Errorf("State directory %s does not answer: starting without memory; it is read when it does", dir)
		d.late.Store(true)
	}
	return d
}

// run opens the file, saves what changes, and closes it.
func (d *disk) run(opened chan struct{}) {
	defer close(d.done)
	d.work(func() {
		d.tellOfOther(config.DefaultStateDir())
		d.open()
	})
	close(opened)
	born := time.Now()
	d.copied = guard.At(born)
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for sound := false; ; {
		select {
		case <-d.stop:
			defer d.shut()
			defer survive("state directory " + d.dir)
			d.goBack()
			d.save(true)
			d.sound()
			return
		case now := <-tick.C:
			d.work(func() {
				d.reopen()
				d.save(false)
				d.copy(guard.At(now))
			})
			if !sound && now.Sub(born) > proveStart {
				sound = true
				d.work(d.ripen)
			}
		}
	}
}

// work does something with the disk, and notes how long it takes.
func (d *disk) work(f func()) {
	d.busy.Store(int64(guard.At(time.Now())))
	func() {
		defer survive("state directory " + d.dir)
		f()
	}()
	d.busy.Store(0)
	if d.hung.Swap(false) {
		log.Infof("State directory %s answers again", d.dir)
	}
}

// watch tells once when the disk does not answer.
func (d *disk) watch(now guard.Stamp) {
	since := guard.Stamp(d.busy.Load())
	if since == 0 || now.Sub(since) < hangsAfter || d.hung.Swap(true) {
		return
	}
	stateErrorsTotal.WithLabelValues().Inc()
	log.Errorf("State directory %s does not answer since %s: what is learned is not kept, and a restart would lose it", d.dir, since.Time().UTC().Format(time.TimeOnly))
}

// wayOut is what helps where the file cannot be used as it is.
const wayOut = "state DIR in the guard block names another directory"

// sick says why what is kept is not on disk, "" if it is.
func (d *disk) sick() string {
	if d.hung.Load() {
		return "state directory " + d.dir + " does not answer; " + wayOut
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault == "" {
		return ""
	}
	return d.fault + "; " + wayOut
}

// tellOfOther tells of a file that was used while none was named and is no more,
// unless another process uses it. It is left where it is.
func (d *disk) tellOfOther(dir string) {
	if dir == "" || dir == d.dir || state.Has(d.dir, state.GuardFile) || !state.Has(dir, state.GuardFile) || state.Busy(dir, state.GuardFile) {
		return
	}
	log.Warningf("What was learned before may be in %s, which is not used: stop, move %s from there to %s and start again to use it, or say state %s in the guard block",
		dir, state.GuardFile, d.dir, dir)
}

// reopen tries again to open a file that another process had, or a disk that was
// full or did not answer, and takes in what is there.
func (d *disk) reopen() {
	if d.opened() == nil {
		d.open()
		d.late.Store(true)
	}
	if d.opened() == nil || !d.late.Swap(false) {
		return
	}
	for _, t := range d.home.list() {
		if g := t.live.Load(); g != nil && t.disk == d {
			t.restore(g)
		}
	}
}

func (d *disk) opened() *state.Store {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.store
}

// close saves what is left. It waits only so long: a hanging disk does not hold up
// a stop.
func (d *disk) close() {
	close(d.stop)
	t := time.NewTimer(openWait)
	defer t.Stop()
	select {
	case <-d.done:
	case <-t.C:
		log.Errorf("State directory %s does not answer: stopping without it", d.dir)
	}
}

// starts counts starts that have not shown yet that they go well.
type starts struct {
	Count int `json:"count"`
}

func (d *disk) open() {
	s, notice, err := state.OpenFile(d.dir, state.GuardFile)
	if notice != "" {
		log.Errorf("%s", notice)
		if s != nil {
			s, err = d.recover(s)
		}
	}
	if err != nil {
		d.tell(err)
		return
	}
	if doubt := s.Doubt(); doubt != "" {
		log.Errorf("%s", doubt)
	}
	meta, _, err := state.Read[starts](s, state.Meta)
	n, from := meta["starts"].Count, state.Guarded
	if n >= crashes && !s.Empty(state.Before) {
		log.Errorf("The last %d starts ended within %s: using what was kept before them", n, proveStart)
		from = state.Before
	}
	d.tell(errors.Join(err, s.Write(state.Record{Bucket: state.Meta, Key: "starts", Value: starts{n + 1}})))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store, d.from = s, from
}

// recover puts the copy in the place of a file that was damaged and set aside.
func (d *disk) recover(empty *state.Store) (*state.Store, error) {
	if err := empty.Close(); err != nil {
		return nil, err
	}
	made, err := state.Recover(d.dir, state.GuardFile)
	if err != nil {
		log.Errorf("The copy of it is of no use: %v", err)
	}
	s, notice, err := state.OpenFile(d.dir, state.GuardFile)
	switch {
	case notice != "":
		log.Errorf("The copy of it is damaged too: %s", notice)
	case !made.IsZero() && err == nil:
		log.Warningf("The copy of it is used: what was learned in the last hours is missing")
	}
	return s, err
}

// copy copies the file now and then, and soon after a name was dropped.
func (d *disk) copy(now guard.Stamp) {
	since := now.Sub(d.copied)
	s := d.opened()
	if s == nil || since >= 0 && since < copyEvery && (!d.dropped || since < copySoon) {
		return
	}
	d.copied, d.dropped = now, false
	d.tell(s.Keep())
}

// goBack makes the file hold what this start began with, if that was not what the
// start before it left: it went well, and what ended the others is not kept.
func (d *disk) goBack() {
	d.mu.Lock()
	s, from := d.store, d.from
	d.mu.Unlock()
	if s == nil || from == state.Guarded {
		return
	}
	if err := s.Copy(from, state.Guarded); err != nil {
		d.tell(err)
		return
	}
	d.mu.Lock()
	d.from = state.Guarded
	d.mu.Unlock()
	for _, t := range d.home.list() {
		if t.disk == d {
			t.soil()
		}
	}
}

// soil makes all of a table be written again.
func (t *table) soil() {
	for _, e := range t.all() {
		e.mu.Lock()
		e.soil(dirty)
		e.mu.Unlock()
	}
}

// ripen notes that this start went well, and keeps what it knows.
func (d *disk) ripen() {
	d.goBack()
	d.save(false)
	d.sound()
	d.generation()
	d.copied = 0
	d.copy(guard.At(time.Now()))
}

// sound notes that this start went well.
func (d *disk) sound() {
	if s := d.opened(); s != nil {
		d.tell(s.Write(state.Record{Bucket: state.Meta, Key: "starts", Value: starts{}}))
	}
}

// generation keeps what is known now as what to go back to, without what is old.
func (d *disk) generation() {
	s := d.opened()
	if s == nil {
		return
	}
	var old []state.Record
	now, seen := guard.At(time.Now()), 0
	_, err := state.Scan(s, state.Guarded, "", func(key string, n guard.Name) {
		seen++
		if now.Sub(n.Good()) > guard.Oldest {
			old = append(old, state.Record{Bucket: state.Guarded, Key: key})
		}
	})
	if err == nil {
		err = s.Write(old...)
	}
	if err == nil && !s.Empty(state.Guarded) {
		err = s.Copy(state.Guarded, state.Before)
	}
	d.tell(err)
	giveBack(s, seen)
}

func (d *disk) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.store != nil {
		d.tellLocked(d.store.Close())
		d.store = nil
	}
}

// tell tells once that the disk fails, and once that it works again.
func (d *disk) tell(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tellLocked(err)
}

func (d *disk) tellLocked(err error) {
	switch {
	case err != nil && d.fault == "":
		log.Errorf("What is kept is not on disk, and a restart would lose it: %v; %s", err, wayOut)
	case err == nil && d.fault != "":
		log.Infof("State directory %s works again", d.dir)
	}
	d.fault = ""
	if err != nil {
		d.fault = err.Error()
		stateErrorsTotal.WithLabelValues().Inc()
	}
}
