package guard

import (
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

// save writes what changed; all of it at a stop.
func (d *disk) save(all bool) {
	s := d.opened()
	if s == nil {
		return
	}
	now := guard.At(time.Now())
	var err error
	for _, t := range d.home.list() {
		if t.disk == d {
			err = errors.Join(err, t.save(s, now, all))
		}
	}
	d.tell(err)
}

// save writes the entries that changed, in batches.
func (t *table) save(s *state.Store, now guard.Stamp, all bool) error {
	var records []state.Record
	var saved []*entry
	for _, e := range t.all() {
		if r, due := e.record(t.key, now, all); due {
			records, saved = append(records, r), append(saved, e)
		}
	}
	for len(records) > 0 {
		n := min(len(records), batch)
		if err := s.Write(records[:n]...); err != nil {
			for _, e := range saved {
				e.mu.Lock()
				e.soil(dirty)
				e.mu.Unlock()
			}
			return err
		}
		t.disk.dropped = t.disk.dropped || slices.ContainsFunc(records[:n], func(r state.Record) bool { return r.Value == nil })
		records, saved = records[n:], saved[n:]
	}
	return nil
}

// record returns what the disk lacks of an entry. It is a copy.
func (e *entry) record(key string, now guard.Stamp, all bool) (r state.Record, due bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dirt == clean || e.dirt == stale && !all && now.Sub(e.saved) < staleEvery {
		return r, false
	}
	e.dirt, e.saved = clean, now
	r = state.Record{Bucket: state.Guarded, Key: key + " " + e.name}
	if e.known.Known() {
		r.Value = e.known.Clone()
	}
	return r, true
}

// restore takes in what the disk knows of the block's names and the table does
// not.
func (t *table) restore(g *Guard) {
	if t.disk == nil {
		return
	}
	t.disk.mu.Lock()
	s, from := t.disk.store, t.disk.from
	t.disk.mu.Unlock()
	if s == nil {
		return
	}
	now := guard.At(time.Now())
	adopted := 0
	damaged, err := state.Scan(s, from, t.key+" ", func(name string, n guard.Name) {
		if n.Mend(now); adopted < maxLoaded && n.Known() && now.Sub(n.Good()) < guard.Oldest {
			t.adopt(g, name, n)
			adopted++
		}
	})
	if damaged > 0 {
		log.Errorf("%d damaged records in %s are left out", damaged, s.Path())
	}
	t.disk.tell(err)
	giveBack(s, adopted)
}

// giveBack gives the system the memory back that it took to read many names.
func giveBack(s *state.Store, names int) {
	const many = 10_000
	if names > many {
		debug.FreeOSMemory()
		s.Release()
	}
}

// adopt takes in one name, if it is guarded and nothing is known of it.
func (t *table) adopt(g *Guard, name string, n guard.Name) {
	how, p := g.names.match(name)
	e := t.look(name)
	if how == unguarded || e == nil && how == patterned && !p.take(false) {
		return
	}
	t.mu.Lock()
	e = t.add(name, how == patterned)
	t.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.known.Known() {
		e.known = n.Clone() // without the room that reading left
	}
}
