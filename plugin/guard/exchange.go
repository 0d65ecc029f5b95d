package guard

import (
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// Times of the exchange with other resolvers.
const (
	leaveAgain = 3 * time.Second  // between looks at one name; what was not stored is left again
	leaveLater = 10 * time.Minute // between times that matter little, of one name
	tellAll    = time.Hour        // so often every name is looked at
)

// trade is how far the exchange with other resolvers is.
type trade struct {
	mu      sync.Mutex // guards what follows
	version uint64
	here    map[blockName]*guard.Name // what this one told
	all     guard.Stamp               // when every name was looked at
}

// anew has what others keep taken in once more: other names are guarded than before.
func (t *trade) anew() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version = 0
}

// of returns a copy of what was told of a name from here. The exchange is under way.
func (t *trade) of(block, name string) guard.Shared {
	s := guard.Shared{Block: block, Name: name}
	if was := t.here[blockName{block, name}]; was != nil {
		s.Known = was.Clone()
	}
	return s
}

// exchange takes in what other resolvers keep of listed names, and tells them what
// is kept here, where resolvers agree at all.
func (b *bureau) exchange(now guard.Stamp) {
	defer survive("the exchange with other resolvers")
	b.trade.mu.Lock()
	defer b.trade.mu.Unlock()
	x := b.fair.Exchange()
	if x == nil {
		b.trade.version, b.trade.here, b.trade.all = 0, nil, 0
		return
	}
	list, version := x.Found()
	if version == 0 {
		return
	}
	if version != b.trade.version {
		b.trade.version, b.trade.here = version, map[blockName]*guard.Name{}
		self, _ := x.Zone()
		for _, finds := range byName(list) {
			b.takeOver(finds, self, now)
		}
	}
	all := now.Sub(b.trade.all) >= tellAll || b.trade.all > now
	if all {
		b.trade.all = now
	}
	for _, t := range b.list() {
		if g := t.live.Load(); g != nil {
			t.tell(g, x, all, now)
		}
	}
}

// blockName is a name as a server block guards it. Of each an observer has one word.
type blockName struct{ block, name string }

// byName puts together what all observers keep of each name.
func byName(list []guard.Find) map[blockName][]guard.Find {
	out := map[blockName][]guard.Find{}
	for i := range list {
		key := blockName{list[i].Block, list[i].Name}
		out[key] = append(out[key], list[i])
	}
	return out
}

// takeOver takes in what others keep of one name, if it is listed here.
func (b *bureau) takeOver(finds []guard.Find, self string, now guard.Stamp) {
	f := &finds[0]
	b.mu.Lock()
	t := b.tables[f.Block]
	b.mu.Unlock()
	for i := range finds {
		if finds[i].Near && finds[i].By == self { // made plausible: times to come would never be outdone
			known := finds[i].Known.Clone()
			known.Mend(now)
			b.trade.here[blockName{f.Block, f.Name}] = &known
		}
	}
	if t == nil {
		return
	}
	g := t.live.Load()
	if g == nil {
		return
	}
	if how, _ := g.names.match(f.Name); how != listed {
		return
	}
	g.adopt(t.entry(f.Name), finds, self, now)
}

// adopt takes in what others keep of a name: addresses where nothing is known here,
// and proofs while it fails.
func (g *Guard) adopt(e *entry, finds []guard.Find, self string, now guard.Stamp) {
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	finds = slices.DeleteFunc(finds, func(f guard.Find) bool { return now.Sub(f.Known.Good()) >= guard.Oldest })
	isNew, grace := false, g.grace(e)
	if e.known.Adopt(finds, now, g.forbidden) {
		isNew = true
		sharedTotal.WithLabelValues("adopted").Inc()
		g.table.home.news.add(adopts, e.name, " is known from other resolvers: its last good answer was %s ago", ago(now.Sub(e.known.Good())))
	}
	for i := range finds {
		if f := &finds[i]; f.Near && f.By != self && e.known.Hear(&f.Shared, now, grace) {
			isNew = true
			sharedTotal.WithLabelValues("heard").Inc()
		}
	}
	if isNew {
		e.soil(dirty)
		g.table.settle(g, e, now)
	}
}

// tell tells the others what changed of listed names.
func (t *table) tell(g *Guard, x guard.Exchange, all bool, now guard.Stamp) {
	if all {
		for _, e := range t.all() {
			t.note(e)
		}
	}
	for _, e := range t.list(t.untold) {
		t.told(e) // and what happens from now on is told anew
		s, later := g.worth(e, now)
		if s != nil {
			sharedTotal.WithLabelValues("left").Inc()
			x.Leave(*s)
		}
		if later {
			t.note(e)
		}
	}
}

// worth returns what is to be told of a name now, nil for nothing, and whether
// anything is to be told later.
func (g *Guard) worth(e *entry, now guard.Stamp) (s *guard.Shared, later bool) {
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	if since := now.Sub(e.looked); since >= 0 && since < leaveAgain && e.known.Gone <= e.looked {
		return nil, true
	}
	e.looked = now
	out := g.table.home.trade.of(g.table.key, e.name)
	worth := out.Merge(&e.known)
	since := now.Sub(e.left)
	switch {
	case worth == guard.Nothing:
		return nil, false
	case worth == guard.Later && since >= 0 && since < leaveLater:
		return nil, true
	}
	e.left = now
	return &out, true
}

// elected reports whether the proofs of a name are this resolver's to make.
func elected(e *entry, x guard.Exchange) bool {
	if x == nil || e.found {
		return true
	}
	self, zone := x.Zone()
	return guard.Elected(self, zone, e.name)
}

// grace is how long a proof waits for the word of the resolver of this zone that is
// elected to make it.
func (g *Guard) grace(e *entry) time.Duration {
	if elected(e, g.table.home.fair.Exchange()) {
		return 0
	}
	return guard.Grace
}

// note has the others told of a name if that is worth it.
func (t *table) note(e *entry) {
	if e.found || t.home.fair.Exchange() == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[e.name] == e {
		t.untold[e] = struct{}{}
	}
}

func (t *table) told(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.untold, e)
}
