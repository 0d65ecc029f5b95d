package share

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// keepDeleted is how long a record that is deleted, or whose time is over, is
// remembered after its end: a store that is restored from a snapshot must not bring
// it back.
const keepDeleted = 7 * 24 * time.Hour

// Bounds of versions. Each decision adds one, so that no real one comes near, and a
// forged one leaves room for those that outdo it.
const (
	// MaxVersion is what a ledger takes that knows nothing yet.
	MaxVersion = 1 << 52
	// maxStep is by how much a record may be ahead of what is known of it.
	maxStep = 1 << 20
)

// Follows reports whether a record of version v can have come after one of version o.
func (v Version) Follows(o Version) bool { return v.N <= o.N+maxStep }

// unheard is how long a decision made here outdoes one that a store turns out to
// hold: whoever made that did so before this one reached anybody. Later the higher
// version counts, for a store that was away brings back old decisions.
const unheard = 30 * time.Second

// Entry is a record with when it was first seen, by the reader's own clock.
type Entry struct {
	Record
	Seen time.Time `json:"seen"`
	here time.Time // when this process first had it; zero: it was on disk, and nobody asked yet
}

// Ends returns when the record ends, by the reader's own clock: no clock of another
// machine is believed. Zero: never.
func (e Entry) Ends() time.Time {
	if e.TTL <= 0 {
		return time.Time{}
	}
	return e.Seen.Add(e.TTL)
}

// Live reports whether the record says anything at now.
func (e Entry) Live(now time.Time) bool {
	return !e.Deleted && (e.TTL <= 0 || now.Before(e.Ends()))
}

// Ledger is what one observer knows of the shared records. The highest version
// wins, wherever it comes from: what a store lacks was lost there, not deleted. It
// is pure, and not safe for concurrent use.
type Ledger struct {
	Writer  string
	entries map[string]Entry
	held    map[string]Record    // by a store, when one was last read
	fresh   map[string]time.Time // when decisions were made here that no store was seen to hold
	read    bool                 // a store was read
}

// NewLedger returns a ledger with what was kept, for an observer that writes under
// a name.
func NewLedger(writer string, kept map[string]Entry) *Ledger {
	l := &Ledger{Writer: writer, entries: map[string]Entry{}, fresh: map[string]time.Time{}}
	l.Restore(kept)
	return l
}

// Restore takes what was kept, as far as nothing newer is known.
func (l *Ledger) Restore(kept map[string]Entry) {
	for _, e := range kept {
		if known, ok := l.entries[e.Key()]; !ok || known.Version.Less(e.Version) {
			l.entries[e.Key()] = e
		}
	}
}

// Key is where a record stands.
func (r *Record) Key() string { return r.Kind + "/" + r.Target }

// Get returns what is known of a target.
func (l *Ledger) Get(kind, target string) (Entry, bool) {
	e, ok := l.entries[kind+"/"+target]
	return e, ok
}

// All returns every entry by key. It must not be changed.
func (l *Ledger) All() map[string]Entry { return l.entries }

// Write makes the next version of a record. A nil value deletes it; that is
// remembered for as long as what is deleted could have lasted, and longer.
func (l *Ledger) Write(kind, target string, value any, ttl time.Duration, now time.Time) (Record, error) {
	r := Record{Kind: kind, Target: target, Made: now.UTC().Round(0), TTL: ttl, Deleted: value == nil}
	if value != nil {
		body, err := json.Marshal(value)
		if err != nil {
			return r, fmt.Errorf("record %s: %w", r.Key(), err)
		}
		r.Value = body
	}
	was := l.entries[r.Key()]
	if r.Deleted {
		r.TTL = was.TTL
	}
	r.Version = Version{N: max(was.Version.N, l.held[r.Key()].Version.N) + 1, Writer: l.Writer}
	l.entries[r.Key()] = Entry{r, now, now}
	l.fresh[r.Key()] = now
	return r, nil
}

// Merged is what came of what a store holds.
type Merged struct {
	News  []Entry  // what is news here, by key
	Lost  []Record // what the store lacks or holds in an older version, by key
	Again []Record // decisions made here that the store's outdid by accident: to be stored at once
}

// Merge takes what a store holds.
func (l *Ledger) Merge(store []Record, now time.Time) (m Merged) {
	l.held = l.newest(store)
	l.read = true
	for _, r := range l.held {
		l.merge(r, now, &m)
	}
	for key, e := range l.entries {
		if r, ok := l.held[key]; (!ok || r.Version.Less(e.Version)) && (e.Deleted || e.Live(now)) {
			m.Lost = append(m.Lost, e.Record)
		}
	}
	slices.SortFunc(m.News, func(a, b Entry) int { return cmp.Compare(a.Key(), b.Key()) })
	for _, list := range [][]Record{m.Lost, m.Again} {
		slices.SortFunc(list, func(a, b Record) int { return cmp.Compare(a.Key(), b.Key()) })
	}
	return m
}

// merge takes one record of a store.
func (l *Ledger) merge(r Record, now time.Time, m *Merged) {
	key := r.Key()
	e, known := l.entries[key]
	switch {
	case known && l.outdoes(key, &r, now):
		m.Again = append(m.Again, l.raise(e, r.Version.N+1))
	case !known || e.Version.Less(r.Version):
		delete(l.fresh, key)
		l.entries[key] = Entry{r, now, now}
		m.News = append(m.News, l.entries[key])
	case r.Version == e.Version:
		delete(l.fresh, key)
	}
}

// Stored notes that a store holds records: what it holds later was decided later.
func (l *Ledger) Stored(list []Record) {
	for i := range list {
		if e, ok := l.entries[list[i].Key()]; ok && e.Version == list[i].Version {
			delete(l.fresh, list[i].Key())
		}
	}
}

// outdoes reports whether what was just decided here counts although a store holds
// a record of a higher version, that somebody else wrote.
func (l *Ledger) outdoes(key string, r *Record, now time.Time) bool {
	e := l.entries[key]
	made, fresh := l.fresh[key]
	return fresh && now.Sub(made) < unheard && e.Version.Less(r.Version) && r.Version.Writer != l.Writer
}

// raise gives a decision a higher version.
func (l *Ledger) raise(e Entry, n uint64) Record {
	e.Version.N = n
	l.entries[e.Key()] = e
	return e.Record
}

// newest returns the highest version of each record of a store that can be one of
// ours.
func (l *Ledger) newest(store []Record) map[string]Record {
	out := make(map[string]Record, len(store))
	for _, r := range store {
		if have, twice := out[r.Key()]; l.possible(&r) && (!twice || have.Version.Less(r.Version)) {
			out[r.Key()] = r
		}
	}
	return out
}

// possible reports whether somebody can have come to the version of a record by
// deciding.
func (l *Ledger) possible(r *Record) bool {
	e, known := l.entries[r.Key()]
	if !known && !l.read {
		return r.Version.N <= MaxVersion
	}
	return r.Version.Follows(e.Version)
}

// Over returns the records whose time has passed, as stores are to hold them from
// now on: who finds one there for the first time would obey it from then. Others
// will end it for that, so it counts only what passed in this process, whose clock
// nobody can set.
func (l *Ledger) Over(now time.Time) (out []Record) {
	for key, e := range l.entries {
		if e.TTL <= 0 || e.Deleted {
			continue
		}
		if e.here.IsZero() {
			e.here = now
			l.entries[key] = e
		}
		if now.Sub(e.here) < e.TTL {
			continue
		}
		r := e.Record
		r.Version.Over, r.Deleted, r.Value = true, true, nil
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Compare(a.Key(), b.Key()) })
	return out
}

// Forget drops what ended so long ago that nobody can bring it back, and returns
// its keys. What a store holds is not forgotten: it would be news.
func (l *Ledger) Forget(now time.Time) (gone []string) {
	for key, e := range l.entries {
		_, held := l.held[key]
		if end := e.Seen.Add(e.TTL + keepDeleted); !held && !e.Live(now) && now.After(end) {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	maps.DeleteFunc(l.entries, func(key string, _ Entry) bool { _, found := slices.BinarySearch(gone, key); return found })
	return gone
}
