package engine

import (
	"errors"
	"log/slog"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

// disk is what the engine keeps. Without a directory, or without a file that
// opens, it keeps nothing and says so; a file that another process holds is
// tried again.
type disk struct {
	dir    string
	store  *state.Store
	log    *slog.Logger
	tried  time.Time
	saved  time.Time
	errors int
	lost   string // why nothing is kept, "" if all is well
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
	found source.Found
	hands hands
}

func openDisk(dir string, log *slog.Logger) *disk {
	d := &disk{dir: dir, log: log}
	if dir == "" {
		d.lost = "no state directory: set state.dir"
		log.Warn("nothing will survive a restart", "why", d.lost)
		return d
	}
	d.open()
	return d
}

func (d *disk) open() {
	d.tried = time.Now()
	s, notice, err := state.Open(d.dir)
	if notice != "" {
		d.log.Warn(notice)
	}
	if err != nil {
		if d.lost == "" {
			d.log.Warn("nothing will survive a restart until this is mended", "why", err)
		}
		d.lost = err.Error()
		return
	}
	d.store, d.lost = s, ""
}

// load reads what an earlier process kept, made as old as it is.
func (d *disk) load(now time.Time, cfg *config.Config) onDisk {
	out := onDisk{found: source.Found{}}
	if d.store == nil {
		return out
	}
	meta := read[time.Time](d, state.Meta)
	out.Kept = Aged(Kept{
		Checks:   read[health.Restored](d, state.Checks),
		Services: read[steer.Memory](d, state.Services),
	}, max(0, now.Sub(meta["saved"])), cfg)
	for name, a := range read[source.Addresses](d, state.Names) {
		out.found[name] = a
	}
	out.hands.overrides = read[steer.Override](d, state.Overrides)
	out.hands.freezes = read[steer.Freeze](d, state.Freezes)
	return out
}

func read[T any](d *disk, b state.Bucket) map[string]T {
	m, damaged, err := state.Read[T](d.store, b)
	if err != nil || damaged > 0 {
		d.log.Warn("part of the state could not be read and is left out", "part", b, "records", damaged, "error", err)
	}
	return m
}

// save writes what changes all the time: every few seconds, and at the end.
func (e *Engine) save(now time.Time, last bool) {
	d := e.disk
	if d.store == nil {
		if d.dir != "" && !last && now.Sub(d.tried) >= retryEvery {
			d.open()
		}
		return
	}
	if !last && now.Sub(d.saved) < saveEvery {
		return
	}
	d.saved = now
	k := e.core.Keep(now)
	d.note(errors.Join(
		state.Replace(d.store, state.Checks, k.Checks),
		state.Replace(d.store, state.Services, k.Services),
		state.Replace(d.store, state.Names, e.found),
		d.store.Write(state.Record{Bucket: state.Meta, Key: "saved", Value: now}),
	))
}

// note says once when writing begins to fail, and once when it works again.
func (d *disk) note(err error) {
	switch {
	case err != nil:
		d.errors++
		if d.lost == "" {
			d.log.Error("state cannot be written: a restart now would forget", "error", err)
		}
		d.lost = err.Error()
	case d.lost != "":
		d.lost = ""
		d.log.Info("state is written again")
	}
}

func (d *disk) close() {
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Warn("state file", "error", err)
		}
	}
}

// StateLost returns why nothing is kept across a restart, "" if all is well, and
// how many writes failed.
func (e *Engine) StateLost() (why string, failed int) {
	_ = e.Do(func(*Core) { why, failed = e.disk.lost, e.disk.errors })
	return why, failed
}
