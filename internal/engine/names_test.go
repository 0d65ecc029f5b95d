package engine

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/steer"
)

// zone is what a name resolves to.
type zone struct {
	mu  sync.Mutex
	ips []netip.Addr
}

func (z *zone) set(ips ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ips = nil
	for _, ip := range ips {
		z.ips = append(z.ips, netip.MustParseAddr(ip))
	}
}

func (z *zone) lookup(context.Context, string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.ips, 5 * time.Second, nil
}

// behindAName starts an engine whose first pool is a name, and returns its log.
func behindAName(t *testing.T, dir string, z *zone, w *world) (*Engine, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	yaml := strings.Replace(shop(dir), "[192.0.2.10]", "[lb.example.net]", 1)
	e, err := Start(Options{Config: parse(t, yaml), Dial: w.dial, Lookup: z.lookup, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return e, log
}

// TestASinkholeIsNoAddress: a name that suddenly leads to where probes never go
// has no address, and what was known of it stays.
func TestASinkholeIsNoAddress(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		z := &zone{}
		z.set("192.0.2.10")
		e, _ := behindAName(t, dir, z, &world{})
		defer e.Close()
		pass(10 * time.Second)
		for _, ip := range []string{"0.0.0.0", "127.0.0.1", "169.254.169.254"} {
			z.set(ip)
			pass(20 * time.Second)
			if n := len(e.Load().Plan.Checks); n != 2 {
				t.Errorf("the name leads to %s: %d checks, want two", ip, n)
			}
			var out [steer.MaxAnswers]netip.Addr
			d := e.Load().Decide(steer.Query{})
			if n := d.Addrs(out[:]); n != 1 || out[0].String() != "192.0.2.10" {
				t.Errorf("the name leads to %s: answers %v", ip, out[:n])
			}
		}
	})
}

// TestAnotherPlanTellsWhatItChanged: a move is told whatever caused it, and
// nothing is told twice.
func TestAnotherPlanTellsWhatItChanged(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e, log := behindAName(t, dir, &zone{}, &world{})
		defer e.Close()
		pass(10 * time.Second)
		if e.used() != "gcp/europe-west1" {
			t.Fatalf("in use: %s, want the region that has addresses", e.used())
		}
		edited := strings.Replace(shop(dir), "[192.0.2.10]", "[192.0.2.10], gcp/europe-north1: [198.51.100.99]", 1)
		edited = strings.Replace(edited, "- gcp/europe-west1: [198.51.100.10]", "- gcp/europe-west1: [{address: 198.51.100.10, enabled: false}]", 1)
		if err := e.Apply(parse(t, strings.Replace(edited, "[192.0.2.10], gcp/", "[192.0.2.10]\n      - gcp/", 1))); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "service moved"); got != 1 {
			t.Errorf("a reload moved the service to %s, told %d times:\n%s", e.used(), got, log)
		}
		if moved := e.LastReload().Moved; moved != 1 {
			t.Errorf("the reload moved %d services by its own account, want 1", moved)
		}
	})
}
