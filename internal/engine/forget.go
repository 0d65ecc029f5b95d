package engine

import (
	"fmt"
	"time"

	"github.com/detour-dns/detour/internal/state"
)

// What a damaged file costs: as little as a copy of it allows, and never in silence.
// An operator who drained a region must hear that the drain is gone.

// copyEvery is how often the file is copied when operators decide nothing.
const copyEvery = time.Hour

// copy copies the file beside it, after what was handed over before. That it fails
// is told, and no reason to say that the file itself is not kept.
func (d *disk) copy(now time.Time, last bool) {
	if !last && !d.unlike && now.Sub(d.copied) < copyEvery {
		return
	}
	d.copied, d.unlike = now, false
	store, log := d.store, d.log
	_, _ = d.hand(func() error {
		if err := store.Keep(); err != nil {
			log.Warn("there is no new copy of the state file", "error", err)
		}
		return nil
	})
}

// toldFor is how long after a start it is said what it could not read.
const toldFor = 24 * time.Hour

func (e *Engine) forgot(now time.Time) string {
	if now.Sub(e.started) >= toldFor {
		return ""
	}
	return e.disk.forgot
}

// forget notes that part of the past is gone.
func (d *disk) forget(what string) {
	d.log.Warn(what)
	d.tell(what)
	if d.forgot == "" {
		d.forgot = what
	}
}

func read[T any](d *disk, b state.Bucket) map[string]T {
	m, _ := readAll[T](d, b)
	return m
}

// readAll returns what can be read of a bucket, and whether that is all.
func readAll[T any](d *disk, b state.Bucket) (m map[string]T, all bool) {
	m, damaged, err := state.Read[T](d.store, b)
	if m == nil {
		m = map[string]T{}
	}
	switch {
	case err != nil:
		d.forget(fmt.Sprintf("the %s in the state file cannot be read and are left out: %v", b, err))
	case damaged > 0:
		d.forget(fmt.Sprintf("%s in the state file cannot be read and are left out", many(damaged, "record of "+string(b), "records of "+string(b))))
	}
	return m, err == nil && damaged == 0
}

// readHands is read for what operators decided: what is damaged is taken from the
// copy. What was lifted in the few seconds before the copy was made may come back;
// that a drain is missing is worse.
func readHands[T any](d *disk, b state.Bucket) map[string]T {
	m, all := readAll[T](d, b)
	if all {
		return m
	}
	kept, err := state.ReadCopy[T](d.dir, b)
	if err != nil {
		d.log.Warn("the copy of the state file cannot be read", "error", err)
	}
	for k, v := range kept {
		if _, ok := m[k]; !ok {
			m[k] = v
			d.log.Info("taken from the copy of the state file", "part", string(b), "target", people(k))
		}
	}
	return m
}
