package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/crash"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/plan"
)

// file writes a configuration where it can be read again, and returns it.
func file(t *testing.T, dir, yaml string) *config.Config {
	t.Helper()
	path := filepath.Join(dir, "failover.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// crashed leaves in a state directory what a process leaves that crashed with a
// configuration.
func crashed(t *testing.T, dir string, cfg *config.Config) {
	t.Helper()
	text := fmt.Sprintf("detour takes %s %s %s\npanic: poison\n", cfg.Hash, time.Now().UTC().Format(time.RFC3339Nano), version())
	if err := os.WriteFile(filepath.Join(dir, crash.Dir, "output"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func eventsOf(e *Engine, kind journal.Kind) []journal.Event {
	return slices.DeleteFunc(e.Journal().Find(journal.Query{}), func(ev journal.Event) bool { return ev.Kind != kind })
}

// TestAConfigurationThatCrashesIsLeft walks what Azure's edge did not have: the
// configuration that ran well is kept, the next one ends the process twice, and the
// third start answers with the one before, says why, and takes the next edit.
func TestAConfigurationThatCrashesIsLeft(t *testing.T) {
	dir := t.TempDir()
	good := shop(dir)
	bad := good + "  poison.example.org:\n    monitors: [sql]" + pools
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, file(t, dir, good), &world{})
		pass(crash.Trial + 10*time.Second)
		if err := e.Apply(file(t, dir, bad)); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		e.Close()
		for n := range crash.Limit {
			crashed(t, dir, file(t, dir, bad))
			if n+1 < crash.Limit {
				begin(t, file(t, dir, bad), &world{}).Close()
			}
		}
		e = begin(t, file(t, dir, bad), &world{})
		defer e.Close()
		if got := len(e.Load().Plan.Config.Services); got != 1 {
			t.Fatalf("%d services are answered: the configuration that crashes is used", got)
		}
		r := e.LastReload()
		if r.OK || !strings.Contains(r.Error, "did 2 times within 10m0s of being taken") || !strings.Contains(r.Error, "panic: poison") {
			t.Errorf("said of it: %+v", r)
		}
		if s := e.Summary().Crashed; !strings.Contains(s, "panic: poison") || !strings.Contains(s, "report-") {
			t.Errorf("the summary says %q", s)
		}
		if n := len(eventsOf(e, journal.Reload)); n != 2 { // taken at first, and refused now
			t.Errorf("%d events", n)
		}
		if err := e.Apply(file(t, dir, bad)); !errors.Is(err, ErrCrashes) {
			t.Errorf("it is taken again: %v", err)
		}
		if err := e.Check(file(t, dir, bad)); !errors.Is(err, ErrCrashes) {
			t.Errorf("a check of it: %v", err)
		}
		if err := e.Apply(file(t, dir, bad+"# edited\n")); err != nil || len(e.Load().Plan.Config.Services) != 2 {
			t.Errorf("an edit is refused: %v", err)
		}
	})
}

// TestNothingToGoBackTo: with nothing better a configuration that crashes is tried
// again: it answers until then.
func TestNothingToGoBackTo(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := file(t, dir, shop(dir))
		for range crash.Limit {
			begin(t, cfg, &world{}).Close()
			crashed(t, dir, cfg)
		}
		e := begin(t, cfg, &world{})
		defer e.Close()
		if len(e.Load().Plan.Config.Services) != 1 || !e.LastReload().OK {
			t.Errorf("%+v", e.LastReload())
		}
	})
}

// TestOneCrashIsTold: and the configuration stays.
func TestOneCrashIsTold(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := file(t, dir, shop(dir))
		begin(t, cfg, &world{}).Close()
		crashed(t, dir, cfg)
		e := begin(t, cfg, &world{})
		defer e.Close()
		events := eventsOf(e, journal.Crashed)
		if len(events) != 1 || !strings.Contains(events[0].Text, "panic: poison") || !e.LastReload().OK {
			t.Errorf("told: %+v, %+v", events, e.LastReload())
		}
		if e.crashed(e.started.Add(toldFor)) != "" || e.crashed(e.started) == "" {
			t.Error("it is not said for a day")
		}
	})
}

// TestAFaultOverAPlanIsContained: what a reload, a name or a catalog brings ends no
// process that answers.
func TestAFaultOverAPlanIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(t.TempDir())), &world{})
		defer e.Close()
		before := e.Load()
		var err error
		_ = e.Do(func(*Core) {
			err = e.replan(func() *plan.Plan { return plan.Make(nil, nil) }, time.Now(), true)
		})
		if !errors.Is(err, ErrOurs) || e.Load().Plan != before.Plan {
			t.Errorf("the plan is another, error %v", err)
		}
		pass(time.Minute)
		if e.used() != "aws/us-east-1" {
			t.Errorf("in use %s", e.used())
		}
	})
}

// TestAStartDoesNotDependOnThePast: what was kept and ends the start is left out, and
// said; what operators decided stays.
func TestAStartDoesNotDependOnThePast(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if err := e.PutOverride(drain("aws/us-east-1"), "test"); err != nil {
			t.Fatal(err)
		}
		pass(saveEvery + time.Second)
		kept := e.disk.load(time.Now(), e.Load().Plan.Config)
		_ = e.Do(func(*Core) {
			used, core := e.outlive(kept, func(o onDisk) *Core {
				if o.Services != nil {
					panic("poison")
				}
				return NewCore(e.core.Plan, o.Checks, o.Services, e.started)
			})
			if core == nil || used.Checks != nil || len(used.hands.overrides) != 1 {
				t.Errorf("begun with %+v", used)
			}
		})
		tells(t, e, "is left out: a fault of this program: poison")
	})
}

// TestACrashIsItsOwn: that a configuration is tried is on the disk before it is in use,
// however far behind the disk's writer is; one that does not come into use is not the
// last that is said.
func TestACrashIsItsOwn(t *testing.T) {
	dir := t.TempDir()
	one := shop(dir)
	two := one + "  more.example.org:\n    monitors: [sql]" + pools
	synctest.Test(t, func(t *testing.T) {
		first := file(t, dir, one)
		e := begin(t, first, &world{})
		defer e.Close()
		last := func() string {
			data, err := os.ReadFile(filepath.Join(dir, crash.Dir, "output"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Fields(string(data))
			return lines[len(lines)-3] // detour takes HASH TIME VERSION
		}
		release := make(chan struct{})
		_ = e.Do(func(*Core) { _, _ = e.disk.hand(func() error { <-release; return nil }) })
		second := file(t, dir, two)
		if err := e.Apply(second); err != nil || last() != second.Hash {
			t.Errorf("in use, and a crash would be of %s: %v", last(), err)
		}
		close(release)
		pass(time.Minute)
		third := file(t, dir, strings.NewReplacer(aws, gcp, gcp, aws).Replace(two)) // all would move
		if err := e.Apply(third); !errors.Is(err, ErrTooManyMoves) || last() != second.Hash {
			t.Errorf("refused, and a crash would be of %s, not %s: %v", last(), second.Hash, err)
		}
	})
}
