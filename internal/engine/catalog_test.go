package engine

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/source/consul"
)

// fromCatalog is a configuration of n services that come from a catalog which is away.
func fromCatalog(t *testing.T, n int, monitors string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: %s}\nadmin: {listen: \"off\"}\nlimits: {reload_moves: 20%%}\nsources:\n  - consul:\n      address: \"unix://%s\"\n      services:\n",
		t.TempDir(), filepath.Join(t.TempDir(), "none.sock"))
	for i := range n {
		fmt.Fprintf(&b, "        s%d: {name: s%d.example.org, monitors: [%s]}\n", i, i, monitors)
	}
	return b.String()
}

// news is what a catalog says of a service: one passing instance.
func news(i int, ip, region string, at time.Time) consul.Update {
	return consul.Update{
		Service: fmt.Sprintf("s%d.example.org.", i), Places: true, Status: true,
		Entry: source.Entry{
			Instances: []source.Instance{{Addr: netip.MustParseAddr(ip), Region: region, Weight: 1, Status: source.Passing}},
			Read:      map[string]time.Time{"": at},
		},
	}
}

// in counts the services that use a region.
func (e *Engine) in(region string, n int) (count int) {
	for i := range n {
		if strings.Join(e.Load().Used(int32(i)), "+") == region {
			count++
		}
	}
	return count
}

func (e *Engine) hearNews(u consul.Update) { _ = e.Do(func(*Core) { e.catalogs.take(u) }) }

// Who can write to a catalog moves no more services that are well than a reload may, one
// at a time or not. The rest waits, and says so; what is not well moves at once.
func TestACatalogMovesFew(t *testing.T) {
	const n = 10
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, fromCatalog(t, n, "sql")), w)
		defer e.Close()
		_ = e.Do(func(*Core) { e.catalogs.stop() }) // the test tells what a catalog would
		for i := range n {
			e.hearNews(news(i, fmt.Sprintf("192.0.2.%d", i+1), "aws/us-east-1", time.Now()))
		}
		pass(time.Minute)
		if got := e.in("aws/us-east-1", n); got != n {
			t.Fatalf("%d of %d found their place at first", got, n)
		}
		for i := range n {
			e.hearNews(news(i, fmt.Sprintf("198.51.100.%d", i+1), "gcp/evil", time.Now()))
			pass(10 * time.Second)
		}
		if got := e.in("gcp/evil", n); got != 2 {
			t.Errorf("a catalog moved %d of %d services, 20 %% are 2", got, n)
		}
		waits := 0
		for _, l := range e.Listings() {
			if l.Waits {
				waits++
			}
		}
		if waits != 8 {
			t.Errorf("%d wait", waits)
		}
		w.set("192.0.2.9", true) // the ninth is not well any more where it is
		pass(time.Minute)
		if got := e.Load().Used(8); strings.Join(got, "") != "gcp/evil" {
			t.Errorf("what is not well waits in %v", got)
		}
		pass(11 * time.Minute)
		if got := e.in("gcp/evil", n); got != 5 {
			t.Errorf("ten minutes later %d are there, two more than the three", got)
		}
		pass(time.Hour)
		if got := e.in("gcp/evil", n); got != n {
			t.Errorf("an hour later %d are there: those who mean it wait no longer", got)
		}
	})
}

// A service that comes back to where it is waits for nothing any more.
func TestNewsThatIsTakenBack(t *testing.T) {
	const n = 3
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, fromCatalog(t, n, "sql")), &world{})
		defer e.Close()
		_ = e.Do(func(*Core) { e.catalogs.stop() }) // the test tells what a catalog would
		for _, ip := range []string{"192.0.2.1", "198.51.100.1", "192.0.2.1"} {
			region := map[bool]string{true: "aws/us-east-1", false: "gcp/evil"}[ip == "192.0.2.1"]
			for i := range n {
				e.hearNews(news(i, ip, region, time.Now()))
			}
			pass(time.Minute)
		}
		for _, l := range e.Listings() {
			if l.Waits {
				t.Errorf("%s still waits", l.Service)
			}
		}
		pass(time.Hour)
		if got := e.in("aws/us-east-1", n); got != n {
			t.Errorf("%d are where their catalog says", got)
		}
	})
}
