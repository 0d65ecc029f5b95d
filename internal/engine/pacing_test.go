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

// shelf is an engine with ten services from a catalog, each in two regions.
type shelf struct {
	*Engine
	world *world
}

const shelved = 10

func newShelf(t *testing.T, monitors string) *shelf {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	fmt.Fprintf(&b, "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: %s}\nadmin: {listen: \"off\"}\nsources:\n  - consul:\n      address: \"unix://%s\"\n      services:\n", dir, filepath.Join(dir, "none.sock"))
	for i := range shelved {
		fmt.Fprintf(&b, "        web%d: {name: s%d.example.org, monitors: [%s], order: [aws/us-east-1, gcp/europe-west1]}\n", i, i, monitors)
	}
	w := &world{}
	s := &shelf{begin(t, parse(t, b.String()), w), w}
	t.Cleanup(s.Close)
	for i := range shelved {
		s.put(i, s.at(i, "192.0.2.%d", aws), s.at(i, "198.51.100.%d", gcp))
	}
	pass(20 * time.Minute)
	return s
}

func (s *shelf) at(i int, addr, region string) source.Instance {
	return source.Instance{Addr: netip.MustParseAddr(fmt.Sprintf(addr, i+1)), Region: region, Weight: 1, Status: source.Passing}
}

// put is an answer of the catalog for a service.
func (s *shelf) put(i int, list ...source.Instance) {
	list, _ = source.Merge(list)
	_ = s.Do(func(*Core) {
		now, service := time.Now(), fmt.Sprintf("s%d.example.org.", i)
		places := !source.Entry{Instances: list}.SamePlaces(s.catalogs.known[service])
		s.catalogs.take(consul.Update{Service: service, Places: places, Status: true, Entry: source.Entry{Instances: list, Read: map[string]time.Time{"": now}}})
	})
}

// in counts the services that are answered from a region.
func (s *shelf) in(region string) (n int) {
	for i := range int32(shelved) {
		n += by(strings.Join(s.Load().Used(i), "+") == region)
	}
	return n
}

// has counts the services whose plan has an address.
func (s *shelf) has(addr string) (n int) {
	_ = s.Do(func(c *Core) {
		for i := range shelved {
			for _, in := range s.catalogs.known[fmt.Sprintf("s%d.example.org.", i)].Instances {
				n += by(in.Addr == netip.MustParseAddr(fmt.Sprintf(addr, i+1)))
			}
		}
	})
	return n
}

// TestACatalogIsEmptied holds that a catalog which lists a region no longer, though all
// machines there are well, moves no more services in ten minutes than limits.reload_moves
// says; and that a service whose machines fail moves at once.
func TestACatalogIsEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, "sql, consul")
		if n := s.in(aws); n != shelved {
			t.Fatalf("%d services in aws at first", n)
		}
		for i := range shelved {
			s.put(i, s.at(i, "198.51.100.%d", gcp))
		}
		pass(5 * time.Minute)
		if n := s.in(aws); n != 8 {
			t.Errorf("%d of 10 services stayed, want 8", n)
		}
		if l := s.Listings(); l[5].Problem == "" {
			t.Errorf("nothing is said of a service that waits: %+v", l[5])
		}
		s.world.set("192.0.2.6", true)
		pass(20 * time.Second)
		if used := s.Load().Used(5); strings.Join(used, "+") != gcp || s.in(aws) != 7 {
			t.Errorf("a service whose machine fails is answered from %v, and %d stay", used, s.in(aws))
		}
		pass(10 * time.Minute)
		if n := s.in(aws); n != 5 {
			t.Errorf("after ten minutes %d of 10 services stayed, want 5", n)
		}
		pass(40 * time.Minute)
		if n := s.in(aws); n != 0 {
			t.Errorf("in the end %d of 10 services stayed", n)
		}
	})
}

// TestACatalogIsReplaced holds the same where other addresses are listed in the region, at
// once or before the old ones go; that they come beside the old ones; and that where a
// deployment ends the old machines nobody waits for its turn.
func TestACatalogIsReplaced(t *testing.T) {
	for _, before := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(t, "sql, consul")
			for i := range shelved {
				if before {
					s.put(i, s.at(i, "192.0.2.%d", aws), s.at(i, "203.0.113.%d", aws), s.at(i, "198.51.100.%d", gcp))
				}
			}
			pass(time.Minute)
			for i := range shelved {
				s.put(i, s.at(i, "203.0.113.%d", aws), s.at(i, "198.51.100.%d", gcp))
			}
			pass(time.Minute)
			if old, new := s.has("192.0.2.%d"), s.has("203.0.113.%d"); old != 8 || new != shelved || s.in(aws) != shelved {
				t.Errorf("before %v: %d have the old address, %d the new one, %d are answered from aws", before, old, new, s.in(aws))
			}
			for i := range shelved {
				s.world.set(fmt.Sprintf("192.0.2.%d", i+1), true)
			}
			pass(20 * time.Second)
			if old := s.has("192.0.2.%d"); old != 0 {
				t.Errorf("before %v: %d have the old address although it fails", before, old)
			}
		})
	}
}

// TestOnlyTheCatalogSpeaks holds that nothing waits where nobody but the catalog can tell
// whether machines are well.
func TestOnlyTheCatalogSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, "consul")
		for i := range shelved {
			s.put(i, s.at(i, "198.51.100.%d", gcp))
		}
		pass(2 * time.Second)
		if n := s.in(gcp); n != shelved {
			t.Errorf("%d of 10 moved", n)
		}
	})
}

// TestADatacenterIsEmptied holds that instances of which a datacenter that lists none any
// more is all that knew stay endpoints, as our own probes find them.
func TestADatacenterIsEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, "sql, consul")
		for i := range shelved {
			gone := s.at(i, "192.0.2.%d", aws)
			gone.Status = source.Gone
			s.put(i, gone, s.at(i, "198.51.100.%d", gcp))
		}
		s.world.set("192.0.2.6", true)
		pass(5 * time.Minute)
		if n := s.in(aws); n != shelved-1 {
			t.Errorf("%d of 10 stayed, want all but the one that fails", n)
		}
	})
}
