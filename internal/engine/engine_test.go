package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/steer"
)

// world is a network in which an address is silent or accepts.
type world struct {
	mu     sync.Mutex
	silent map[netip.Addr]bool
}

func (w *world) set(ip string, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent == nil {
		w.silent = map[netip.Addr]bool{}
	}
	w.silent[netip.MustParseAddr(ip)] = silent
}

func (w *world) dial(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	silent := w.silent[to.Addr()]
	w.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

func parse(t testing.TB, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("/test/failover.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const pools = `
    pools:
      - aws/us-east-1: [192.0.2.10]
      - gcp/europe-west1: [198.51.100.10]
`

func shop(dir string) string {
	return "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: " + dir + "}\nadmin: {listen: \"off\"}\nservices:\n  shop.example.org:\n    monitors: [sql]" + pools
}

func begin(t *testing.T, cfg *config.Config, w *world) *Engine {
	t.Helper()
	e, err := Start(Options{Config: cfg, Dial: w.dial, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// used is the region in use by the first service.
func (e *Engine) used() string { return strings.Join(e.Load().Used(0), "+") }

// pass lets simulated time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestSilentRegionIsLeftWithinTheBound(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(dir)), w)
		defer e.Close()
		e.Wait(t.Context())
		pass(20 * time.Second)
		w.set("192.0.2.10", true)
		cut := time.Now()
		for e.used() != "gcp/europe-west1" && time.Since(cut) < time.Minute {
			pass(100 * time.Millisecond)
		}
		if took := time.Since(cut); took > 11400*time.Millisecond {
			t.Errorf("left after %v, the bound is 11.3 s", took)
		}
	})
}

func TestRestartKeepsWhatIsInUse(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(dir)), w)
		w.set("192.0.2.10", true)
		pass(30 * time.Second)
		w.set("192.0.2.10", false)
		pass(30 * time.Second)
		if e.used() != "gcp/europe-west1" {
			t.Fatalf("in use: %s", e.used())
		}
		e.Close()
		pass(3 * time.Second)
		e = begin(t, parse(t, shop(dir)), w)
		defer e.Close()
		for range 100 {
			if e.used() != "gcp/europe-west1" {
				t.Fatalf("a restart moved the service to %s", e.used())
			}
			pass(time.Second)
		}
	})
}

func TestOverridesAreKeptWhenAcknowledged(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		o := steer.Override{Target: "aws/us-east-1", Kind: steer.Drain, Made: time.Now(), Until: time.Now().Add(time.Hour), Reason: "test", Owner: "jo"}
		if err := e.PutOverride(o, "test"); err != nil {
			t.Fatal(err)
		}
		if e.used() != "gcp/europe-west1" {
			t.Errorf("drained, but in use: %s", e.used())
		}
		e.Close()
		e = begin(t, parse(t, shop(dir)), &world{})
		if e.used() != "gcp/europe-west1" {
			t.Errorf("a restart forgot the drain: %s", e.used())
		}
		if err := e.DeleteOverride("aws/us-east-1", "test"); err != nil {
			t.Fatal(err)
		}
		if o, _ := e.Hands(); len(o) != 0 {
			t.Errorf("lifted, but there: %v", o)
		}
		e.Close()
	})
}

func TestWithoutDiskItWorksAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := parse(t, shop("/proc/no/such/place"))
		e := begin(t, cfg, &world{})
		defer e.Close()
		if why, _ := e.StateLost(); why == "" {
			t.Error("nothing was said of the state that cannot be kept")
		}
		err := e.PutOverride(steer.Override{Target: "aws/us-east-1", Kind: steer.Drain, Reason: "test", Owner: "jo"}, "test")
		if !errors.Is(err, ErrNotKept) || e.used() != "gcp/europe-west1" {
			t.Errorf("error %v, in use %s; want it in force and said that it is not kept", err, e.used())
		}
	})
}

func TestReloadKeepsHealthAndRefusesTooManyMoves(t *testing.T) {
	dir := t.TempDir()
	many := func(first, second string) string {
		var b strings.Builder
		b.WriteString("monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: " + dir + "}\nadmin: {listen: \"off\"}\nservices:\n")
		for i := range 10 {
			fmt.Fprintf(&b, "  s%d.example.org:\n    monitors: [sql]\n    pools: [{%s: [192.0.2.%d]}, {%s: [198.51.100.%d]}]\n", i, first, i+1, second, i+1)
		}
		return b.String()
	}
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, many("aws/us-east-1", "gcp/europe-west1")), &world{})
		defer e.Close()
		pass(20 * time.Second)
		swapped := parse(t, many("gcp/europe-west1", "aws/us-east-1"))
		if err := e.Check(swapped); !errors.Is(err, ErrTooManyMoves) {
			t.Errorf("Check: %v, want too many moves", err)
		}
		if err := e.Apply(swapped); !errors.Is(err, ErrTooManyMoves) || e.LastReload().OK {
			t.Errorf("Apply: %v, last reload %+v", err, e.LastReload())
		}
		ups := e.Summary().Verdicts["up"]
		meant := parse(t, many("gcp/europe-west1", "aws/us-east-1")+"limits: {reload_moves: 100%}\n")
		if err := e.Apply(meant); err != nil {
			t.Fatal(err)
		}
		if now := e.Summary().Verdicts["up"]; now != ups || !e.LastReload().OK {
			t.Errorf("%d checks up after the reload, %d before", now, ups)
		}
	})
}

// TestNamesKeepWhatTheyKnow is the outage that this was built for: the name of a
// region's load balancer is emptied.
func TestNamesKeepWhatTheyKnow(t *testing.T) {
	dir := t.TempDir()
	yaml := strings.Replace(shop(dir), "[192.0.2.10]", "[lb.example.net]", 1)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		known := []netip.Addr{netip.MustParseAddr("192.0.2.10")}
		lookup := func(context.Context, string) ([]netip.Addr, time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			if known == nil {
				return nil, 0, errors.New("NODATA")
			}
			return known, 5 * time.Second, nil
		}
		cfg := parse(t, yaml)
		e, err := Start(Options{Config: cfg, Dial: (&world{}).dial, Lookup: lookup, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		mu.Lock()
		known = nil
		mu.Unlock()
		for range 60 {
			pass(10 * time.Second)
			d := e.Load().Decide(steer.Query{})
			if e.used() != "aws/us-east-1" || !d.Has() {
				t.Fatalf("in use %s, has addresses %v: an empty answer took them", e.used(), d.Has())
			}
		}
		e.Close()
		e, err = Start(Options{Config: cfg, Dial: (&world{}).dial, Lookup: lookup, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if d := e.Load().Decide(steer.Query{}); e.used() != "aws/us-east-1" || !d.Has() {
			t.Errorf("after a restart in the outage: in use %s, has addresses %v", e.used(), d.Has())
		}
	})
}

// What an engine started is gone after Close: synctest panics if a goroutine stays.
func TestCloseLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			e := begin(t, parse(t, shop(t.TempDir())), &world{})
			e.Close()
			if err := e.Do(func(*Core) {}); !errors.Is(err, ErrClosed) {
				t.Fatalf("Do after Close: %v", err)
			}
		}
	})
}
