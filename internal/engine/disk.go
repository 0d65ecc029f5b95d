package engine

import (
	"errors"
	"log/slog"
	"maps"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

// disk is what the engine keeps. Without a directory, or without a file that
// opens, it keeps nothing and says so; a file that another process holds is
// tried again.
type disk struct {
	dir       string
	store     *state.Store
	writer    *writer     // to store; nil without one
	after     func(error) // is told the outcome of each write, on the writer's goroutine
	log       *slog.Logger
	events    *journal.Journal
	tried     time.Time
	trying    bool // on a goroutine
	saved     time.Time
	errors    int
	lost      string // why nothing is kept, "" if all is well
	forgot    string // what of the past is gone, "" if nothing is
	noHistory string // why events are not on disk, "" if they are
	copied    time.Time
	unlike    bool // operators decided something since
	wrote     written
}

// written is what the file holds, so that only what differs is written: at rest
// that is one time stamp.
type written struct {
	plan   *plan.Plan
	checks []checkRecord // by check
	states []*steer.ServiceState
}

// checkRecord is a check on disk. How old its verdict is at a restart follows from
// when the file was last written: while the process lived it was kept up to date.
type checkRecord struct {
	Verdict health.Verdict
	Cause   health.Cause
	WasUp   bool
	Since   time.Time
	Ejected health.Ejections `json:",omitempty"`
}

func (r *checkRecord) same(o *checkRecord) bool {
	return r.Verdict == o.Verdict && r.Cause == o.Cause && r.WasUp == o.WasUp &&
		r.Since.Equal(o.Since) && len(r.Ejected) == len(o.Ejected)
}

func recordOf(s *health.State) checkRecord {
	v := s.Verdict
	if v == health.Unknown && s.WasDown {
		v = health.Down
	}
	return checkRecord{v, s.Cause, s.WasUp, s.Since.Round(0), s.Ejected}
}

// How often is written what changes all the time, and how often a file that
// would not open is tried again.
const (
	saveEvery  = 5 * time.Second
	retryEvery = 10 * time.Second
)

// onDisk is everything that is read at the start.
type onDisk struct {
	Kept
	found   source.Found
	hands   hands
	records map[string]share.Entry
	catalog source.Catalog
}

func openDisk(dir string, keeps bool, log *slog.Logger, events *journal.Journal, after func(error)) *disk {
	d := &disk{dir: dir, log: log, events: events, after: after}
	switch {
	case dir != "":
		d.open()
	case keeps:
		d.lost = "no state directory: set state.dir"
		log.Warn("nothing will survive a restart", "why", d.lost)
	}
	return d
}

func (d *disk) open() {
	d.tried = time.Now()
	d.opened(state.Open(d.dir))
}

// opened takes a file into use, or notes why there is none.
func (d *disk) opened(s *state.Store, notice string, err error) {
	if notice != "" {
		d.forget(notice)
	}
	if err != nil {
		if d.lost == "" {
			d.log.Warn("nothing will survive a restart until this is mended", "why", err)
			d.tell("nothing will survive a restart until this is mended: " + err.Error())
		}
		d.lost = err.Error()
		return
	}
	d.store, d.lost, d.writer = s, "", startWriter(d.after, s.Steps)
	if doubt := s.Doubt(); doubt != "" {
		d.forget(doubt)
	}
	d.noHistory = ""
	switch damaged, err := d.events.Keep(d.dir); {
	case err != nil:
		d.noHistory = err.Error()
		d.log.Warn("the history of events is in memory only", "why", err)
		d.tell("the history of events is in memory only: " + err.Error())
	case damaged > 0:
		d.log.Warn("part of the history of events could not be read and is left out", "lines", damaged)
	}
}

// tell puts the disk's fate into the history, which may be the only place left.
func (d *disk) tell(text string) {
	d.events.Add(journal.Event{At: time.Now(), Kind: journal.State, Text: text})
}

// load reads what an earlier process kept, made as old as it is.
func (d *disk) load(now time.Time, cfg *config.Config) onDisk {
	out := onDisk{found: source.Found{}}
	if d.store == nil {
		return out
	}
	meta := read[time.Time](d, state.Meta)
	off := max(0, now.Sub(meta["saved"]))
	checks := map[string]health.Restored{}
	for key, r := range read[checkRecord](d, state.Checks) {
		k := health.Restored{Verdict: r.Verdict, Cause: r.Cause, WasUp: r.WasUp, Ejected: r.Ejected}
		if !r.Since.IsZero() {
			k.Lasted = max(0, now.Sub(r.Since)-off) // Aged adds the time that it was off
		}
		checks[key] = k
	}
	out.Kept = Aged(Kept{Checks: checks, Services: read[steer.Memory](d, state.Services)}, off, cfg)
	for name, a := range read[source.Addresses](d, state.Names) {
		a.Known.Mend(guard.At(time.Now()))
		out.found[name] = a
	}
	out.catalog = read[source.Entry](d, state.Catalog)
	out.hands, out.records = d.hands(), read[share.Entry](d, state.Shared)
	return out
}

func (d *disk) hands() hands {
	return hands{overrides: readHands[steer.Override](d, state.Overrides), freezes: readHands[steer.Freeze](d, state.Freezes)}
}

// save hands over what changes all the time: every few seconds, and at the end.
// While a write is under way what changes waits for the next one.
func (e *Engine) save(now time.Time, last bool) {
	d := e.disk
	if d.store == nil {
		if d.dir != "" && !last && !d.trying && now.Sub(d.tried) >= retryEvery {
			e.reopen()
		}
		return
	}
	if d.writer.hangs(now) {
		d.note(errHangs)
	}
	if !last && (d.writer.waiting > 0 || now.Sub(d.saved) < saveEvery) {
		return
	}
	d.saved = now
	if d.wrote.plan != e.core.Plan {
		e.saveAll(now)
	} else {
		store, records := d.store, append(e.differences(), state.Record{Bucket: state.Meta, Key: "saved", Value: now})
		_, _ = d.hand(func() error { return store.WriteParts(records) }) // noted
	}
	d.copy(now, last)
}

// write hands over records that belong together.
func (e *Engine) write(records ...state.Record) (result <-chan error, err error) {
	store := e.disk.store
	return e.disk.hand(func() error { return store.Write(records...) })
}

// hand hands a write over, and notes it if that fails.
func (d *disk) hand(write func() error) (result <-chan error, err error) {
	if result, err = d.writer.put(write); err != nil {
		d.note(err)
	}
	return result, err
}

// reopen tries a file again that would not open at the start: beside the loop,
// for to wait for another process takes a second.
func (e *Engine) reopen() {
	d := e.disk
	d.trying = true
	go func() {
		s, notice, err := state.Open(d.dir)
		closed := e.Do(func(*Core) { e.reopened(s, notice, err) })
		if closed != nil && s != nil {
			_ = s.Close() // nothing was written
		}
	}()
}

// reopened takes the file into use. What operators had decided before is in it,
// and counts unless they decided otherwise since.
func (e *Engine) reopened(s *state.Store, notice string, err error) {
	lost := e.disk.lost
	e.disk.trying, e.disk.tried = false, time.Now()
	e.disk.opened(s, notice, err)
	if e.disk.store == nil {
		return
	}
	e.disk.lost = lost // until all is written
	kept := e.disk.hands()
	e.forgetLifted(&kept)
	e.ledger.Restore(read[share.Entry](e.disk, state.Shared))
	kept.files = e.hands.files
	maps.Copy(kept.overrides, e.hands.overrides)
	maps.Copy(kept.freezes, e.hands.freezes)
	e.hands = kept
	e.core.SetHands(e.hands.list())
	e.log.Info("state file open at last", "overrides", len(kept.overrides), "freezes", len(kept.freezes))
	e.saveAll(e.disk.tried)
}

// saveAll hands over everything, what operators decided included (it may not have
// been possible then), so that what the plan no longer has is dropped.
func (e *Engine) saveAll(now time.Time) {
	d, c := e.disk, e.core
	checks := make(map[string]checkRecord, len(c.states))
	services := make(map[string]steer.Memory, len(c.snap.Plan.Services))
	w := written{plan: c.Plan}
	for i := range c.states {
		w.checks = append(w.checks, recordOf(&c.states[i]))
		checks[c.Plan.Checks[i].Key] = w.checks[i]
	}
	for i := range c.snap.Plan.Services {
		w.states = append(w.states, c.snap.State(int32(i)))
		services[c.snap.Plan.Services[i].Name] = w.states[i].Memory
	}
	store, found := d.store, maps.Clone(e.found)
	records, catalog := maps.Clone(e.ledger.All()), e.catalogs.known
	overrides, freezes := maps.Clone(e.hands.overrides), maps.Clone(e.hands.freezes)
	d.wrote = w
	_, _ = d.hand(func() error {
		defer store.Release() // the next such write may be days away
		return errors.Join(
			state.Replace(store, state.Checks, checks),
			state.Replace(store, state.Services, services),
			state.Replace(store, state.Names, found),
			state.Replace(store, state.Overrides, overrides),
			state.Replace(store, state.Freezes, freezes),
			state.Replace(store, state.Shared, records),
			state.Replace(store, state.Catalog, catalog),
			store.Write(state.Record{Bucket: state.Meta, Key: "saved", Value: now}),
		)
	})
}

// differences returns what changed since it was last written. After a
// write that failed everything is written again.
func (e *Engine) differences() (out []state.Record) {
	c, w := e.core, &e.disk.wrote
	for i := range c.states {
		if r := recordOf(&c.states[i]); !r.same(&w.checks[i]) {
			w.checks[i] = r
			out = append(out, state.Record{Bucket: state.Checks, Key: c.Plan.Checks[i].Key, Value: r})
		}
	}
	for i := range w.states {
		st := c.snap.State(int32(i))
		if st != w.states[i] && !st.Memory.Equal(&w.states[i].Memory) {
			out = append(out, state.Record{Bucket: state.Services, Key: c.snap.Plan.Services[i].Name, Value: st.Memory})
		}
		w.states[i] = st
	}
	return out
}

// note says once when writing begins to fail, and once when it works again.
func (d *disk) note(err error) {
	switch {
	case err != nil:
		d.errors++
		d.wrote = written{} // write all of it again when that works
		if d.lost == "" {
			d.log.Error("state cannot be written: a restart now would forget", "error", err)
			d.tell("state cannot be written, a restart now would forget: " + err.Error())
		}
		d.lost = err.Error()
	case d.lost != "":
		d.lost = ""
		d.log.Info("state is written again")
		d.tell("state is written again")
	}
}

// close lets go of the files once what was handed over is written. It does not
// wait for ever for a disk that hangs.
func (d *disk) close() {
	ended := whileMoving(closeWait, closeMost, d.progress, func() {
		if err := d.events.Close(); err != nil {
			d.log.Warn("history of events", "error", err)
		}
		if d.store == nil {
			return
		}
		close(d.writer.jobs)
		<-d.writer.done
		if err := d.store.Close(); err != nil {
			d.log.Warn("state file", "error", err)
		}
	})
	if !ended {
		d.log.Error("the disk does not answer: what changed last may be forgotten", "dir", d.dir)
	}
}

// StateLost returns why nothing is kept across a restart, "" if all is well, and
// how many writes failed.
func (e *Engine) StateLost() (why string, failed int) {
	_ = e.Do(func(*Core) { why, failed = e.disk.lost, e.disk.errors })
	return why, failed
}
