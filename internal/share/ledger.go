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

// maxN bounds versions: a record that claims more is not one of ours, and would
// let nobody change it again.
const maxN = 1 << 53

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
	held    map[string]Record // by a store, when one was last read
}

// NewLedger returns a ledger with what was kept, for an observer that writes under
// a name.
func NewLedger(writer string, kept map[string]Entry) *Ledger {
	l := &Ledger{Writer: writer, entries: map[string]Entry{}}
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
	r.Version = Version{N: was.Version.N + 1, Writer: l.Writer}
	l.entries[r.Key()] = Entry{r, now, now}
	return r, nil
}

// Merge takes what a store holds. It returns the entries that are news here, and
// the records that the store lacks or holds in an older version, both by key.
func (l *Ledger) Merge(store []Record, now time.Time) (news []Entry, lost []Record) {
	held := newest(store)
	l.held = held
	for key, r := range held {
		if e, known := l.entries[key]; !known || e.Version.Less(r.Version) {
			l.entries[key] = Entry{r, now, now}
			news = append(news, l.entries[key])
		}
	}
	for key, e := range l.entries {
		if r, ok := held[key]; (!ok || r.Version.Less(e.Version)) && (e.Deleted || e.Live(now)) {
			lost = append(lost, e.Record)
		}
	}
	slices.SortFunc(news, func(a, b Entry) int { return cmp.Compare(a.Key(), b.Key()) })
	slices.SortFunc(lost, func(a, b Record) int { return cmp.Compare(a.Key(), b.Key()) })
	return news, lost
}

// newest returns the highest version of each record of a store.
func newest(store []Record) map[string]Record {
	out := make(map[string]Record, len(store))
	for _, r := range store {
		if have, twice := out[r.Key()]; r.Version.N <= maxN && (!twice || have.Version.Less(r.Version)) {
			out[r.Key()] = r
		}
	}
	return out
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
