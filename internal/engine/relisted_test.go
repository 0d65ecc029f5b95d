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
	l.update(places, map[string]time.Time{"": time.Now()}, list)
}

// putRead is put of other instances, with when datacenters answered.
func (l *listed) putRead(read map[string]time.Time, list ...source.Instance) {
	l.update(true, read, list)
}

func (l *listed) update(places bool, read map[string]time.Time, list []source.Instance) {
	_ = l.Do(func(*Core) {
		l.catalogs.take(consul.Update{Service: "shop.example.org.", Places: places, Status: true, Entry: source.Entry{Instances: list, Read: read}})
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

// TestTheFirstAnswers holds that the order in which datacenters answer first decides nothing:
// a region is late only if its datacenter had answered without it.
func TestTheFirstAnswers(t *testing.T) {
	for _, options := range []string{"single_writer: true, ", "failback: {mode: manual}, ", ""} {
		synctest.Test(t, func(t *testing.T) {
			yaml := "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: DIR}\nadmin: {listen: \"off\"}\nsources:\n  - consul:\n      address: \"unix:///nowhere/none.sock\"\n      datacenters: {dc1: aws/us-east-1, dc2: gcp/europe-west1}\n" +
				"      services: {web: {" + options + "name: shop.example.org, monitors: [sql, consul], order: [aws/us-east-1, gcp/europe-west1]}}\n"
			all := gatherFleet(t, newHub(), yaml, fra, ams, lon)
			at := func(addr, region, datacenter string) source.Instance {
				return source.Instance{Addr: netip.MustParseAddr(addr), Region: region, Weight: 1, Status: source.Passing, Datacenter: datacenter}
			}
			a, b := at("192.0.2.10", aws, "dc1"), at("198.51.100.10", gcp, "dc2")
			for i, r := range all {
				l := &listed{r.Engine, a, b}
				first, read := a, map[string]time.Time{"dc1": time.Now(), "dc2": {}}
				if i != 1 {
					first, read = b, map[string]time.Time{"dc1": {}, "dc2": time.Now()}
				}
				l.putRead(read, first)
				pass(50 * time.Millisecond)
				l.putRead(map[string]time.Time{"dc1": time.Now(), "dc2": time.Now()}, a, b)
			}
			pass(5 * time.Second)
			for i, r := range all {
				if got := r.used(); got != aws {
					t.Errorf("%q: resolver %d uses %s", options, i, got)
				}
			}
		})
	}
}
