package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

func drain(target string) steer.Override {
	return steer.Override{Target: target, Kind: steer.Drain, Made: time.Now(), Until: time.Now().Add(time.Hour), Reason: "test", Owner: "jo"}
}

// TestAFreezeOfAllCanBeLiftedAfterARestart: the engine finds what it kept under
// the name by which operators speak of it.
func TestAFreezeOfAllCanBeLiftedAfterARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		if err := e.PutFreeze(steer.Freeze{Until: time.Now().Add(time.Hour), Reason: "test", Owner: "jo"}, "test"); err != nil {
			t.Fatal(err)
		}
		e.Close()
		e = begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if _, f := e.Hands(); len(f) != 1 {
			t.Fatalf("freezes after the restart: %v, want one", f)
		}
		if err := e.DeleteFreeze("", "test"); err != nil {
			t.Fatal(err)
		}
		if _, f := e.Hands(); len(f) != 0 || e.Load().State(0).Frozen {
			t.Errorf("lifted, but in force: %v", f)
		}
	})
}

// TestDrainsOnAFileThatOpensLate: what another process held at the start is read
// when it lets go, and what was decided meanwhile is written.
func TestDrainsOnAFileThatOpensLate(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		other, _, err := state.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		o := drain("aws/us-east-1")
		if err := other.Write(state.Record{Bucket: state.Overrides, Key: o.Target, Value: o}); err != nil {
			t.Fatal(err)
		}
		e := begin(t, parse(t, shop(dir)), &world{})
		up := steer.Override{Target: "gcp/europe-west1", Kind: steer.ForceUp, Made: time.Now(), Until: time.Now().Add(time.Hour), Reason: "test", Owner: "jo"}
		if err := e.PutOverride(up, "test"); !errors.Is(err, ErrNotKept) {
			t.Errorf("error %v, want that it is not kept", err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		pass(30 * time.Second)
		if e.used() != "gcp/europe-west1" {
			t.Errorf("in use: %s; the drain in the file is not in force", e.used())
		}
		e.Close()
		e = begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if o, _ := e.Hands(); len(o) != 2 {
			t.Errorf("after a restart: %v, want both overrides", o)
		}
	})
}

// TestABusyFileDelaysNothing: while another process holds the file, the tries to
// open it must not hold up verdicts.
func TestABusyFileDelaysNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		other, _, err := state.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close() //nolint:errcheck // of no consequence here
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		for range 300 {
			asked := time.Now()
			if _, failed := e.StateLost(); failed > 0 {
				t.Fatal("a file that is not open was written")
			}
			if took := time.Since(asked); took > 100*time.Millisecond {
				t.Fatalf("the engine was busy for %v", took)
			}
			pass(100 * time.Millisecond)
		}
	})
}

// TestADiskThatHangsDelaysNothing: while a write does not end, verdicts turn and
// operators act as ever; they and status are told. When it ends, all is kept.
func TestADiskThatHangsDelaysNothing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(dir)), w)
		pass(20 * time.Second)
		thaw := make(chan struct{})
		_ = e.Do(func(*Core) { _, _ = e.disk.writer.put(func() error { <-thaw; return nil }) })
		w.set("192.0.2.10", true)
		pass(11400 * time.Millisecond)
		if e.used() != "gcp/europe-west1" {
			t.Errorf("in use after the bound for a silent region: %s", e.used())
		}
		if why, _ := e.StateLost(); why != errHangs.Error() {
			t.Errorf("status says %q", why)
		}
		asked := time.Now()
		if err := e.PutOverride(drain("aws/us-east-1"), "test"); !errors.Is(err, ErrNotKept) {
			t.Errorf("error %v, want that it is not kept", err)
		}
		if took := time.Since(asked); took > handWait {
			t.Errorf("the operator waited %v", took)
		}
		if o, _ := e.Hands(); len(o) != 1 {
			t.Errorf("in force: %v, want the drain", o)
		}
		close(thaw)
		pass(10 * time.Second)
		if why, _ := e.StateLost(); why != "" {
			t.Errorf("status still says %q", why)
		}
		e.Close()
		e = begin(t, parse(t, shop(dir)), w)
		defer e.Close()
		if o, _ := e.Hands(); len(o) != 1 || e.used() != "gcp/europe-west1" {
			t.Errorf("after a restart: overrides %v, in use %s", o, e.used())
		}
	})
}

// TestAStopOnADiskThatHangs: it ends all the same.
func TestAStopOnADiskThatHangs(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		thaw := make(chan struct{})
		defer close(thaw)
		_ = e.Do(func(*Core) { _, _ = e.disk.writer.put(func() error { <-thaw; return nil }) })
		asked := time.Now()
		e.Close()
		if took := time.Since(asked); took > 2*closeWait { // a write of the start may end just then, and counts as progress
			t.Errorf("the stop took %v", took)
		}
	})
}

// TestTheBacklogIsBounded: what operators decide while a disk hangs is in force,
// and no more of it waits in memory than the backlog holds.
func TestTheBacklogIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		thaw := make(chan struct{})
		defer close(thaw)
		var refused error
		_ = e.Do(func(*Core) {
			for range backlog + 2 { // one is under way
				if _, err := e.disk.writer.put(func() error { <-thaw; return nil }); err != nil {
					refused = err
				}
			}
		})
		if !errors.Is(refused, errBacklog) {
			t.Errorf("error %v, want that too much waits", refused)
		}
		if err := e.PutOverride(drain("gcp/europe-west1"), "test"); !errors.Is(err, ErrNotKept) || !errors.Is(err, errBacklog) {
			t.Errorf("error %v, want that it is not kept, and why", err)
		}
		if o, _ := e.Hands(); len(o) != 1 {
			t.Errorf("in force: %v, want the drain", o)
		}
	})
}
