package share

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

func write(t *testing.T, l *Ledger, target string, value any, now time.Time) Record {
	t.Helper()
	r, err := l.Write(Override, target, value, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A store that is restored from an old snapshot neither undoes a drain nor brings
// one back: what it lacks is written again.
func TestRestoredSnapshot(t *testing.T) {
	l := NewLedger("r1", nil)
	old := write(t, l, "aws/us-east-1", "old reason", t0)
	write(t, l, "gcp/europe-west1", "drain", t0)
	gone := write(t, l, "gone", "drain", t0)
	write(t, l, "aws/us-east-1", "new reason", t0.Add(time.Minute))
	write(t, l, "gone", nil, t0.Add(time.Minute))
	m := l.Merge([]Record{old, gone}, t0.Add(2*time.Minute))
	lost := m.Lost
	if len(m.News) != 0 {
		t.Errorf("an old snapshot is news: %v", m.News)
	}
	if len(lost) != 3 || string(lost[0].Value) != `"new reason"` || !lost[2].Deleted {
		t.Errorf("to be written again: %v", lost)
	}
	if e, _ := l.Get(Override, "gone"); e.Live(t0.Add(2 * time.Minute)) {
		t.Error("the snapshot brought back what was lifted")
	}
}

// An empty store is loss, not an order.
func TestEmptyStore(t *testing.T) {
	l := NewLedger("r1", nil)
	write(t, l, "aws/us-east-1", "drain", t0)
	m := l.Merge(nil, t0)
	if e, _ := l.Get(Override, "aws/us-east-1"); len(m.News) != 0 || len(m.Lost) != 1 || !e.Live(t0) {
		t.Errorf("merged %+v", m)
	}
}

// A record ends by the reader's clock, from when it saw it first; what has ended is
// not written again, and is forgotten in the end.
func TestEnds(t *testing.T) {
	writer, reader := NewLedger("r1", nil), NewLedger("r2", nil)
	r := write(t, writer, "aws/us-east-1", "drain", t0.Add(-48*time.Hour)) // its clock is two days behind
	reader.Merge([]Record{r}, t0)
	e, _ := reader.Get(Override, "aws/us-east-1")
	if !e.Live(t0.Add(59*time.Minute)) || e.Live(t0.Add(time.Hour)) {
		t.Errorf("ends at %v", e.Ends())
	}
	if lost := reader.Merge(nil, t0.Add(2*time.Hour)).Lost; len(lost) != 0 {
		t.Errorf("what has ended is written again: %v", lost)
	}
	if gone := reader.Forget(t0.Add(6 * 24 * time.Hour)); len(gone) != 0 {
		t.Errorf("forgotten too early: %v", gone)
	}
	if gone := reader.Forget(t0.Add(8 * 24 * time.Hour)); len(gone) != 1 {
		t.Errorf("not forgotten: %v", gone)
	}
}

// No version that a thief writes keeps an operator's next act from counting. What
// nothing is known of is taken up to 2^52 in the first read; later nothing that is
// 2^20 ahead of what is known.
func TestAbsurdVersions(t *testing.T) {
	forged := func(n uint64) []Record {
		return []Record{{Kind: Override, Target: "x", Version: Version{N: n, Writer: "thief"}}}
	}
	known := NewLedger("r1", nil)
	write(t, known, "x", "drain", t0)
	known.Merge(nil, t0)
	old := known.All()
	now := t0
	for _, c := range []struct {
		name   string
		ledger *Ledger
		n      uint64
		taken  bool
	}{
		{"first read", NewLedger("r1", nil), 1 << 52, true},
		{"first read", NewLedger("r1", nil), 1<<52 + 1, false},
		{"first read after a restart", NewLedger("r1", old), 1 + maxStep, true},
		{"first read after a restart", NewLedger("r1", old), 2 + maxStep, false},
		{"later", known, 2 + maxStep, false},
		{"later", known, 1 << 53, false},
		{"later", known, maxStep, true},
	} {
		now = now.Add(time.Hour)
		m := c.ledger.Merge(forged(c.n), now)
		if taken := len(m.News) == 1; taken != c.taken {
			t.Errorf("%s: version %d is taken: %v", c.name, c.n, taken)
		}
		e, _ := c.ledger.Get(Override, "x")
		if r := write(t, c.ledger, "x", nil, now); !e.Version.Less(r.Version) || r.Version.N != e.Version.N+1 {
			t.Errorf("%s: the next act has version %v after %v", c.name, r.Version, e.Version)
		}
	}
	empty := NewLedger("r1", nil)
	empty.Merge(nil, t0)
	if m := empty.Merge(forged(1<<30), t0); len(m.News) != 0 {
		t.Error("what nobody knew is taken at 2^30 after the first read")
	}
}

// Two operators act at once at two resolvers. The one whose act reaches the store
// last wins, also where the other's version is higher; but an act that reached no
// store for long does not undo what was decided since.
func TestAnActCountsOnceAStoreHasIt(t *testing.T) {
	a, z := NewLedger("a", nil), NewLedger("z", nil)
	first := write(t, z, "x", "drain", t0)
	z.Stored([]Record{first})
	mine := write(t, a, "x", nil, t0)
	if !mine.Version.Less(first.Version) {
		t.Fatal("this test needs a version that loses")
	}
	m := a.Merge([]Record{first}, t0.Add(time.Second))
	if len(m.News) != 0 || len(m.Again) != 1 || !first.Version.Less(m.Again[0].Version) || !m.Again[0].Deleted {
		t.Fatalf("the act at a is lost: %+v", m)
	}
	if m = z.Merge(m.Again, t0.Add(2*time.Second)); len(m.News) != 1 || !m.News[0].Deleted {
		t.Errorf("z does not follow: %+v", m)
	}
	late := NewLedger("a", nil)
	write(t, late, "x", nil, t0)
	if m := late.Merge([]Record{first}, t0.Add(unheard)); len(m.News) != 1 || len(m.Again) != 0 {
		t.Errorf("an act that reached nobody for long undoes a later one: %+v", m)
	}
	held := NewLedger("a", nil)
	r := write(t, held, "x", nil, t0)
	held.Merge([]Record{r}, t0)
	if m := held.Merge([]Record{first}, t0.Add(time.Second)); len(m.News) != 1 {
		t.Errorf("an act that a store held already is raised: %+v", m)
	}
	ends := NewLedger("a", nil)
	r = write(t, ends, "x", "drain", t0)
	r.Version.Over, r.Deleted, r.Value = true, true, nil
	if m := ends.Merge([]Record{r}, t0.Add(time.Second)); len(m.News) != 1 || len(m.Again) != 0 {
		t.Errorf("that an act is over is outdone by itself: %+v", m)
	}
}

// Three writers, a store that a plain write overwrites, writers that pause between
// reading and writing, a store that is rolled back: once all is heard by all, all
// hold the same, and it is the highest version of everything ever acknowledged.
func TestWritersInAnyOrder(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 7))
		ledgers := []*Ledger{NewLedger("a", nil), NewLedger("b", nil), NewLedger("c", nil)}
		store, snapshot := map[string]Record{}, map[string]Record{}
		var paused []Record // written by nobody yet: the writer sleeps
		put := func(x Record) { store[x.Key()] = x }
		highest := map[string]Version{}
		for step := range 60 {
			l := ledgers[r.IntN(3)]
			switch r.IntN(6) {
			case 0, 1:
				x := write(t, l, fmt.Sprint("t", r.IntN(3)), step, t0)
				if highest[x.Key()].Less(x.Version) {
					highest[x.Key()] = x.Version
				}
				if r.IntN(3) == 0 {
					paused = append(paused, x)
				} else {
					put(x)
					l.Stored([]Record{x})
				}
			case 2:
				if len(paused) > 0 {
					put(paused[0]) // late, over whatever is there by now
					paused = paused[1:]
				}
			case 3:
				snapshot = maps.Clone(store)
			case 4:
				store = maps.Clone(snapshot)
			case 5:
				m := l.Merge(list(store), t0)
				for _, x := range append(m.Lost, m.Again...) {
					if put(x); highest[x.Key()].Less(x.Version) {
						highest[x.Key()] = x.Version
					}
					l.Stored([]Record{x})
				}
			}
		}
		for _, x := range paused {
			put(x)
		}
		for range 4 {
			for _, l := range ledgers {
				m := l.Merge(list(store), t0)
				for _, x := range append(m.Lost, m.Again...) {
					if put(x); highest[x.Key()].Less(x.Version) {
						highest[x.Key()] = x.Version
					}
					l.Stored([]Record{x})
				}
			}
		}
		for key, v := range highest {
			for _, l := range ledgers {
				if l.entries[key].Version != v || string(l.entries[key].Value) != string(store[key].Value) {
					t.Fatalf("seed %d: %s of %s is %v, want %v", seed, key, l.Writer, l.entries[key].Version, v)
				}
			}
		}
	}
}

func list(m map[string]Record) (out []Record) {
	for _, r := range m {
		out = append(out, r)
	}
	return out
}

// What one has obeyed to its end is over for who comes later, and for nobody who
// decided something since, wherever versions meet.
func TestOver(t *testing.T) {
	first, late := NewLedger("r1", nil), NewLedger("r2", nil)
	r := write(t, first, "aws/us-east-1", "drain", t0)
	late.Merge([]Record{r}, t0.Add(59*time.Minute))
	if over := first.Over(t0.Add(59 * time.Minute)); len(over) != 0 {
		t.Errorf("over before its end: %v", over)
	}
	end := t0.Add(time.Hour)
	over := first.Over(end)
	if len(over) != 1 || !over[0].Deleted || over[0].Value != nil || len(late.Over(end)) != 0 {
		t.Fatalf("over: %v; for who saw it later: %v", over, late.Over(end))
	}
	if m := late.Merge(over, end); len(m.News) != 1 || m.News[0].Live(end) || len(m.Lost) != 0 {
		t.Errorf("who saw it later: news %v, lost %v", m.News, m.Lost)
	}
	if m := late.Merge([]Record{r}, end); len(m.News) != 0 || len(m.Lost) != 1 || !m.Lost[0].Version.Over {
		t.Errorf("restored: news %v, lost %v", m.News, m.Lost)
	}
	if first.Merge(over, end); len(first.Over(end)) != 0 {
		t.Error("over twice")
	}
	other := NewLedger("a", nil) // whose name is smaller, and which had not heard
	other.Merge([]Record{r}, t0)
	again := write(t, other, "aws/us-east-1", "drain on", end)
	if m := late.Merge([]Record{again}, end); len(m.News) != 1 || !m.News[0].Live(end) {
		t.Errorf("drained anew: %v", m.News)
	}
	if m := other.Merge(over, end); len(m.News) != 0 || len(m.Lost) != 1 {
		t.Errorf("the new drain is over: %v, %v", m.News, m.Lost)
	}
}

// A clock that was set while a process was down ends what it obeys itself, and
// nothing for others.
func TestOverCountsOwnTime(t *testing.T) {
	l := NewLedger("r1", nil)
	write(t, l, "aws/us-east-1", "drain", t0)
	start := t0.Add(48 * time.Hour) // it says
	kept := map[string]Entry{}
	for key, e := range l.entries {
		e.here = time.Time{}
		kept[key] = e
	}
	l = NewLedger("r1", kept)
	for after, want := range map[time.Duration]int{0: 0, 59 * time.Minute: 0, time.Hour: 1} {
		l.Over(start)
		if over := l.Over(start.Add(after)); len(over) != want {
			t.Errorf("%v after the start: %v", after, over)
		}
	}
}

// What a store still holds is not forgotten: it would be news, and begin anew.
func TestWhatIsHeldIsNotForgotten(t *testing.T) {
	l := NewLedger("r1", nil)
	r := write(t, l, "aws/us-east-1", "drain", t0)
	at := t0
	for range 60 {
		at = at.Add(24 * time.Hour)
		if m := l.Merge([]Record{r}, at); len(m.News) != 0 || len(l.Forget(at)) != 0 {
			t.Fatalf("%v later it is news: %v", at.Sub(t0), m.News)
		}
	}
	l.Merge(nil, at)
	if gone := l.Forget(at); len(gone) != 1 {
		t.Errorf("gone: %v", gone)
	}
}

// A deletion outlives every copy of what it deletes.
func TestADeletionOutlivesWhatItDeletes(t *testing.T) {
	l := NewLedger("r1", nil)
	if _, err := l.Write(Override, "x", "drain", 30*24*time.Hour, t0); err != nil {
		t.Fatal(err)
	}
	write(t, l, "x", nil, t0)
	if gone := l.Forget(t0.Add(36 * 24 * time.Hour)); len(gone) != 0 {
		t.Errorf("forgotten too early: %v", gone)
	}
	if gone := l.Forget(t0.Add(38 * 24 * time.Hour)); len(gone) != 1 {
		t.Errorf("not forgotten: %v", gone)
	}
}
