package guard

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/core/dnsserver"

	"github.com/detour-dns/detour/internal/guard"
)

// table is what one server block keeps. It outlives reloads.
type table struct {
	server atomic.Pointer[dnsserver.Server] // that of the last question, nil before the first

	key  string // of the block
	home *bureau
	live atomic.Pointer[Guard]
	disk *disk // nil: in memory only

	mu         sync.RWMutex
	entries    map[string]*entry
	candidates map[string]*guard.Candidate
	watched    map[*entry]struct{} // names that fail, or did a moment ago
	trials     map[*entry]struct{} // names that may shake hands while they are healthy
	untold     map[*entry]struct{} // names of which other resolvers may not know all
	upper      map[string]int      // names above those that stand in
	found      int                 // entries that patterns found
	foundUp    int                 // and those of them that stand in

	anyUpper atomic.Bool
	swept    guard.Stamp // when idle names were looked for; the beat's
}

func newTable(key string, home *bureau, d *disk) *table {
	return &table{
		key: key, home: home, disk: d, entries: map[string]*entry{}, candidates: map[string]*guard.Candidate{},
		watched: map[*entry]struct{}{}, trials: map[*entry]struct{}{}, untold: map[*entry]struct{}{}, upper: map[string]int{},
	}
}

// entry is one guarded name.
type entry struct {
	name     string
	standing atomic.Bool // something stands in

	mu      sync.Mutex // guards what follows, but found; taken after the table's never before
	found   bool       // by a pattern; never changed
	dirt    dirt
	asking  bool
	refusal guard.Refusal // why nothing stands in
	known   guard.Name
	tale    tale
	saved   guard.Stamp
	asked   guard.Stamp // by a client
	next    guard.Stamp // when to ask in the background
	looked  guard.Stamp // when it was last looked whether other resolvers know all of it
	left    guard.Stamp // when they were told of it last
	far     *[2]far     // what the chain's targets say, by family; nil: they were never asked
}

// dirt says how much of an entry the disk does not have yet.
type dirt uint8

const (
	clean dirt = iota
	stale      // times only
	dirty
)

func (e *entry) soil(d dirt) { e.dirt = max(e.dirt, d) }

// entry returns what is kept of a name that is listed.
func (t *table) entry(name string) *entry {
	if e := t.look(name); e != nil {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(name, false)
}

func (t *table) look(name string) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.entries[name]
}

// add makes an entry, or returns the one there is. The table is locked.
func (t *table) add(name string, found bool) *entry {
	e := t.entries[name]
	if e == nil {
		e = &entry{name: name, found: found}
		t.entries[name] = e
		if found {
			t.found++
		}
	}
	return e
}

// maxCandidates bounds the names below patterns that are counted.
const maxCandidates = 10_000

// candidate returns what is kept of a name below a pattern, nil while it is not
// in use enough, or the pattern has its fill.
func (t *table) candidate(name string, p *slot, client netip.Addr) *entry {
	if e := t.look(name); e != nil {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.candidates[name]
	if c == nil {
		if len(t.candidates) >= maxCandidates {
			clear(t.candidates)
		}
		c = &guard.Candidate{}
		t.candidates[name] = c
	}
	if !c.Ask(client) || !p.take(!c.Many) {
		return nil
	}
	delete(t.candidates, name)
	return t.add(name, true)
}

// above reports whether a name that stands in lies below this one.
func (t *table) above(name string) bool {
	if !t.anyUpper.Load() {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.upper[name] > 0
}

// mayStand reports whether one more name that a pattern found may stand in.
func (t *table) mayStand() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return guard.MayStand(t.found, t.foundUp)
}

// stand notes that a name began to stand in, or ended. Its entry is locked.
func (t *table) stand(e *entry, is bool) {
	if e.standing.Swap(is) == is {
		return
	}
	by := 1
	if is {
		guard.Standing.Add(e.name)
	} else {
		guard.Standing.Remove(e.name)
		by = -1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.found {
		t.foundUp += by
	}
	for rest := range ancestors(e.name) {
		if t.upper[rest] += by; t.upper[rest] <= 0 {
			delete(t.upper, rest)
		}
	}
	t.anyUpper.Store(len(t.upper) > 0)
}

// review drops the names that a new guard of the block does not guard, and counts
// for it those that its patterns found.
func (t *table) review(g *Guard) {
	for _, e := range t.all() {
		how, p := g.names.match(e.name)
		if how == listed || how == patterned && p.take(false) {
			continue
		}
		e.mu.Lock()
		t.stand(e, false)
		e.mu.Unlock()
		t.drop(e)
	}
}

// drop takes an entry out of the table, and reports whether it was there.
func (t *table) drop(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[e.name] != e {
		return false
	}
	delete(t.entries, e.name)
	delete(t.watched, e)
	delete(t.trials, e)
	delete(t.untold, e)
	if e.found {
		t.found--
	}
	return true
}

func (t *table) watch(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched[e] = struct{}{}
}

func (t *table) unwatch(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watched, e)
}

func (t *table) try(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trials[e] = struct{}{}
}

func (t *table) tried(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.trials, e)
}

// list returns the entries in a set, so that they can be locked one by one.
func (t *table) list(set map[*entry]struct{}) []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*entry, 0, len(set))
	for e := range set {
		out = append(out, e)
	}
	return out
}

// all returns every entry.
func (t *table) all() []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*entry, 0, len(t.entries))
	for _, e := range t.entries {
		out = append(out, e)
	}
	return out
}
