package guard

import (
	"sync"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

// stored returns what a directory's file keeps in a bucket, by key.
func stored(t *testing.T, dir string, bucket state.Bucket) map[string]guard.Name {
	t.Helper()
	s, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	all, _, err := state.Read[guard.Name](s, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// write puts records into a directory's file.
func write(t *testing.T, dir string, records ...state.Record) {
	t.Helper()
	s, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	if err := s.Write(records...); err != nil {
		t.Fatal(err)
	}
}

// TestWhatEndedTheStartsIsGone holds that when a start goes well with what was kept
// before, what ended the starts before it is on disk no more: else the next start
// takes it in again, and the generation to go back to would hold it too.
func TestWhatEndedTheStartsIsGone(t *testing.T) {
	const poison = ".:53/ poison.example."
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.66")
	known(t, dir, state.Before, "192.0.2.1")
	bad := stored(t, dir, state.Guarded)[".:53/ "+api]
	write(t, dir, state.Record{Bucket: state.Guarded, Key: poison, Value: bad}, state.Record{Bucket: state.Meta, Key: "starts", Value: starts{crashes}})
	if got := answers(restarted(t, dir)); len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("answered %v", got)
	}
	all := stored(t, dir, state.Guarded)
	if _, there := all[poison]; there || len(all) != 1 || len(all[".:53/ "+api].V4.Members) != 1 {
		t.Errorf("kept: %v", all)
	}
}

// TestACrashDuringTheTrialKeepsBoth holds that a start which goes back, and is killed
// before it showed that it goes well, changes nothing on disk.
func TestACrashDuringTheTrialKeepsBoth(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.66")
	known(t, dir, state.Before, "192.0.2.1")
	write(t, dir, state.Record{Bucket: state.Meta, Key: "starts", Value: starts{crashes}})
	d := &disk{dir: dir, home: newBureau()}
	d.open()
	d.save(false)
	d.shut() // as kill -9 leaves it
	if ip := stored(t, dir, state.Guarded)[".:53/ "+api].V4.Members[0].IP.String(); ip != "192.0.2.66" {
		t.Errorf("kept %s", ip)
	}
}

// TestForeignAndHostileRecords holds that records of other blocks, of no block, of
// names that are not guarded, from the future and full of nonsense neither stop a
// start nor are answered.
func TestForeignAndHostileRecords(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	good := stored(t, dir, state.Guarded)[".:53/ "+api]
	future, old := good, good
	future.V4.Good += 1 << 50
	old.V4.Good -= guard.Stamp(guard.Oldest.Milliseconds() + 60_000)
	var records []state.Record
	for key, v := range map[string]any{
		"": good, " ": good, "nospace": good, ".:53/ ": good, "other:53/ " + api: good, ".:53/ unguarded.example.": good,
		".:53/ login.example.": old, ".:53/ x.example.": "a string", ".:53/ y.example.": map[string]any{"v4": map[string]any{"members": 3}},
		".:53/ z.example.": future,
	} {
		if key != "" {
			records = append(records, state.Record{Bucket: state.Guarded, Key: key, Value: v})
		}
	}
	write(t, dir, records...)
	if got := answers(restarted(t, dir)); len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("answered %v", got)
	}
}

// TestWhatAnOperatorDropsStaysDropped holds that a name which was forgotten does not
// come back with a reload, nor with a restart.
func TestWhatAnOperatorDropsStaysDropped(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	s := newScript()
	s.set(api+" A", nodata)
	w := newWorld(t, diskConf(dir), s)
	if !w.at.Forget(api) {
		t.Error("nothing was kept")
	}
	again, err := parse(caddy.NewTestController("dns", diskConf(dir)))
	if err != nil {
		t.Fatal(err)
	}
	again.Next = s
	w.at.enter(again, ".:53/") // a reload
	if known, _ := again.table.entry(api).state(); known {
		t.Error("a reload brought it back")
	}
	w.at.leave()
	if m := restarted(t, dir); len(answers(m)) != 0 {
		t.Errorf("a restart brought it back: %v", m)
	}
}

// TestReloadsUnderLoad holds that questions, reloads, reports and what an operator
// does may happen at once.
func TestReloadsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	s := newScript()
	s.set(api+" A", nodata)
	w := newWorld(t, diskConf(dir), s)
	first, stop, ended := w.g, make(chan struct{}), make(chan int)
	var begun sync.Once
	under := make(chan struct{}) // closed when there is load
	for i := range 4 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					ended <- n
					return
				default:
				}
				r := new(dns.Msg)
				r.SetQuestion(api, dns.TypeA)
				c := &recorder{}
				if _, err := first.ServeDNS(t.Context(), c, r); err == nil {
					n += len(c.msgs)
				}
				begun.Do(func() { close(under) })
				if i == 0 { // one goroutine beats
					first.table.beat(guard.At(time.Now()))
				}
			}
		}()
	}
	<-under
	last := first
	for range 30 {
		g, err := parse(caddy.NewTestController("dns", diskConf(dir)))
		if err != nil {
			t.Fatal(err)
		}
		g.Next = s
		w.at.enter(g, ".:53/")
		w.at.depart(last)
		last = g
		w.at.Report(1000)
		w.at.Accept(api)
		w.at.Forget("no.example.")
	}
	close(stop)
	n := 0
	for range 4 {
		n += <-ended
	}
	if n == 0 {
		t.Error("no question was answered")
	}
	w.at.leave()
	if guard.Standing.Has(api) {
		t.Error("a name stands in of a block that is gone")
	}
}
