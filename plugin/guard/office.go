package guard

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// office is what all guards of the process share: what they keep, which outlives
// reloads, the budget of their proofs, and one goroutine that does what is due.
var office = newBureau()

type bureau struct {
	slots chan struct{} // background questions
	news  news
	fair  *guard.Market // where other resolvers are
	trade trade

	mu     sync.Mutex // guards what follows
	tables map[string]*table
	disks  map[string]*disk
	stop   context.CancelFunc // nil: does not run
	life   context.Context    // until then
	done   chan struct{}

	proofs sync.Mutex // guards what follows
	budget guard.Budget
	ears   guard.Ears
}

func newBureau() *bureau {
	return &bureau{fair: &guard.Fair, slots: make(chan struct{}, atOnce), tables: map[string]*table{}, disks: map[string]*disk{}}
}

func (b *bureau) allow(ip netip.Addr, need guard.Need, now guard.Stamp) bool {
	b.proofs.Lock()
	defer b.proofs.Unlock()
	return b.budget.Allow(ip, need, now)
}

func (b *bureau) note(p guard.Proof, now guard.Stamp) {
	b.proofs.Lock()
	defer b.proofs.Unlock()
	b.ears.Note(p, now)
}

func (b *bureau) hush(now guard.Stamp) bool {
	b.proofs.Lock()
	defer b.proofs.Unlock()
	return b.ears.Hush(now)
}

// enter gives a guard the table of its block, and makes the bureau run. What other
// resolvers keep is known when it returns, as far as it was read.
func (b *bureau) enter(g *Guard, key string) {
	b.seat(g, key)
	b.trade.anew()
	b.exchange(guard.At(time.Now()))
}

func (b *bureau) seat(g *Guard, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tables[key]
	if t != nil {
		t.review(g)
	} else {
		t = newTable(key, b, b.disk(g.opts.state))
		b.tables[key] = t
		t.restore(g)
	}
	g.table = t
	t.live.Store(g)
	guard.Front.Open(b)
	if b.stop == nil {
		b.life, b.stop = context.WithCancel(context.Background())
		b.done = make(chan struct{})
		go b.run(b.life)
	}
}

// lifetime returns a context that ends when the process stops.
func (b *bureau) lifetime() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == nil {
		return context.Background()
	}
	return b.life
}

// disk returns the file of a directory, nil for none.
func (b *bureau) disk(dir string) *disk {
	if dir == "" {
		return nil
	}
	d := b.disks[dir]
	if d == nil {
		d = openDisk(dir, b)
		b.disks[dir] = d
	}
	return d
}

// run does what is due until ctx ends.
func (b *bureau) run(ctx context.Context) {
	defer close(b.done)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.followClock(last, now)
			last = now
			for _, t := range b.list() {
				t.beat(guard.At(now))
			}
			b.exchange(guard.At(now))
			b.news.tell()
			b.watchDisks(guard.At(now))
		}
	}
}

func (b *bureau) watchDisks(now guard.Stamp) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.disks {
		d.watch(now)
	}
}

// leave ends everything: the process stops.
func (b *bureau) leave() {
	b.mu.Lock()
	stop, done := b.stop, b.done
	b.stop = nil
	b.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	<-done
	b.news.tell()
	b.mu.Lock()
	disks := b.disks
	b.disks = map[string]*disk{}
	b.mu.Unlock()
	for _, d := range disks { // they save what the tables hold
		d.close()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, t := range b.tables {
		t.live.Store(nil) // what is still under way changes nothing any more
		t.fall()
		delete(b.tables, key)
	}
	guard.Front.Open(nil)
}

// depart says that a guard's server block ends. Unless another guard took over its
// table, nothing of it stands in any more.
func (b *bureau) depart(g *Guard) {
	if g.table == nil || !g.table.live.CompareAndSwap(g, nil) {
		return
	}
	g.table.fall()
}

// fall makes nothing of a table stand in any more.
func (t *table) fall() {
	for _, e := range t.all() {
		e.mu.Lock()
		t.stand(e, false)
		e.mu.Unlock()
	}
}

// list returns the tables in the order of their keys.
func (b *bureau) list() []*table {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*table, 0, len(b.tables))
	for _, t := range b.tables {
		out = append(out, t)
	}
	slices.SortFunc(out, func(x, y *table) int { return cmp.Compare(x.key, y.key) })
	return out
}

// Report implements guard.Guards.
func (b *bureau) Report(room int) (out []guard.Report, kept int) {
	var well []found
	for _, t := range b.list() {
		failing, others := t.known()
		for _, e := range failing {
			out = append(out, e.report(t.key))
		}
		for _, e := range others {
			well = append(well, found{e, t.key})
		}
		kept += len(failing) + len(others)
	}
	if room = min(len(well), room-len(out)); room > 0 { // a status has none, and asks often
		slices.SortFunc(well, func(x, y found) int { return cmp.Or(cmp.Compare(x.e.name, y.e.name), cmp.Compare(x.block, y.block)) })
		for _, p := range well[:room] {
			out = append(out, p.e.report(p.block))
		}
	}
	slices.SortFunc(out, func(x, y guard.Report) int {
		return cmp.Or(cmp.Compare(rank(&x), rank(&y)), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Block, y.Block))
	})
	return out, kept
}

// found is an entry and its server block.
type found struct {
	e     *entry
	block string
}

// known lists the names of which something is kept: those that fail, and the others.
func (t *table) known() (failing, others []*entry) {
	for _, e := range t.all() {
		switch known, fails := e.state(); {
		case known && fails:
			failing = append(failing, e)
		case known:
			others = append(others, e)
		}
	}
	return failing, others
}

// Of implements guard.Guards.
func (b *bureau) Of(name string) (out []guard.Report) {
	for _, t := range b.list() {
		e := t.look(name)
		if e == nil {
			continue
		}
		if known, _ := e.state(); known {
			out = append(out, e.report(t.key))
		}
	}
	return out
}

func (e *entry) state() (known, failing bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.known.Known(), e.known.Failing()
}

func rank(r *guard.Report) int {
	switch {
	case r.Standing:
		return 0
	case r.Failing != "":
		return 1
	}
	return 2
}

func (e *entry) report(block string) guard.Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := &e.known
	r := guard.Report{
		Name: e.name, Block: block, Pattern: e.found, Standing: e.standing.Load(), Proves: n.Proves,
		Members: slices.Concat(n.V4.Members, n.V6.Members),
	}
	if good := n.Good(); good != 0 {
		r.Good = good.Time()
	}
	if n.Failing() {
		r.Failing, r.Since = because(n), n.Since().Time()
		if !r.Standing {
			r.Refusal = e.refusal.String()
		}
	}
	return r
}

// Forget implements guard.Guards.
func (b *bureau) Forget(name string) (had bool) {
	for _, t := range b.list() {
		if e := t.look(name); e != nil {
			had = t.forget(e) || had
		}
	}
	return had
}

// Accept implements guard.Guards.
func (b *bureau) Accept(name string) (guarded bool) {
	for _, t := range b.list() {
		g := t.live.Load()
		if g == nil || t.look(name) == nil {
			continue
		}
		e := t.look(name)
		t.forget(e)
		for _, v6 := range []bool{false, true} {
			g.askAgain(e, v6, false)
		}
		guarded = true
	}
	return guarded
}

// forget drops what is kept of a name.
func (t *table) forget(e *entry) (had bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	had = e.known.Known()
	e.known.Accept(guard.At(time.Now()))
	e.far = nil
	e.soil(dirty)
	t.stand(e, false)
	t.note(e)
	return had
}

// Fault implements guard.Guards.
func (b *bureau) Fault() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, dir := range slices.Sorted(maps.Keys(b.disks)) {
		if fault := b.disks[dir].sick(); fault != "" {
			return fault
		}
	}
	return ""
}

// Proofs implements guard.Guards.
func (b *bureau) Proofs() int {
	b.proofs.Lock()
	defer b.proofs.Unlock()
	return b.budget.Used(guard.At(time.Now()))
}
