package engine

import (
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/source/consul"
)

// listed is an engine whose one service is what a catalog lists.
type listed struct {
	*Engine
	a, b source.Instance
}

func list(t *testing.T, options string) *listed {
	t.Helper()
	dir := t.TempDir()
	e := begin(t, parse(t, "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: "+dir+"}\nadmin: {listen: \"off\"}\nsources:\n  - consul:\n      address: \"unix://"+filepath.Join(dir, "none.sock")+
		"\"\n      services: {web: {"+options+"name: shop.example.org, monitors: [sql, consul], order: [aws/us-east-1, gcp/europe-west1]}}\n"), &world{})
	t.Cleanup(e.Close)
	at := func(addr, region string) source.Instance {
		return source.Instance{Addr: netip.MustParseAddr(addr), Region: region, Weight: 1, Status: source.Passing}
	}
	return &listed{e, at("192.0.2.10", aws), at("198.51.100.10", gcp)}
}

// put is an answer of the catalog; places says that it is other instances than before.
func (l *listed) put(places bool, list ...source.Instance) {
	_ = l.Do(func(*Core) {
		l.catalogs.take(consul.Update{Service: "shop.example.org.", Places: places, Status: true, Entry: source.Entry{Instances: list, Read: map[string]time.Time{"": time.Now()}}})
	})
}

// TestARegionIsListedAgain holds that a region whose instances deregistered, as at any orderly
// stop, comes back as one that was critical does: by failback, or by an operator.
func TestARegionIsListedAgain(t *testing.T) {
	for options, back := range map[string]bool{"single_writer: true, ": false, "failback: {mode: manual}, ": false, "": true} {
		for _, gone := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				l := list(t, options)
				l.put(true, l.a, l.b)
				pass(2 * time.Minute)
				if got := l.used(); got != aws {
					t.Fatalf("%q, at first: %s", options, got)
				}
				dead := l.a
				dead.Status = source.Critical
				for range 30 {
					if gone {
						l.put(true, l.b)
					} else {
						l.put(false, dead, l.b)
					}
					pass(10 * time.Second)
				}
				l.put(gone, l.a, l.b)
				pass(4 * time.Minute)
				if got := l.used(); got != gcp {
					t.Errorf("%q, gone %v, soon after it is back: %s", options, gone, got)
				}
				pass(time.Hour)
				if got := l.used(); (got == aws) != back {
					t.Errorf("%q, gone %v, an hour later: %s", options, gone, got)
				}
			})
		}
	}
}

// TestARegionThatComesAndGoes holds that what deregisters and registers all the time moves a
// service once.
func TestARegionThatComesAndGoes(t *testing.T) {
	for _, options := range []string{"single_writer: true, ", ""} {
		synctest.Test(t, func(t *testing.T) {
			l := list(t, options)
			l.put(true, l.a, l.b)
			pass(time.Minute)
			moves, last := 0, l.used()
			for i := range 60 {
				if i%2 == 0 {
					l.put(true, l.b)
				} else {
					l.put(true, l.a, l.b)
				}
				for range 10 {
					pass(time.Second)
					if now := l.used(); now != last {
						moves, last = moves+1, now
					}
				}
			}
			if moves != 1 {
				t.Errorf("%q: %d moves in ten minutes, want 1", options, moves)
			}
		})
	}
}
