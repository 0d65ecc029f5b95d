package monitor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/prober"
)

func TestFirstRoundIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var checks []Check
		for i := range uint64(n) {
			checks = append(checks, Check{ID: i, Region: "a/b", Prober: &fake{}, Interval: 10 * time.Second, Timeout: 2 * time.Second})
		}
		begin := time.Now()
		got := collect(t, Options{}, 25*time.Second, checks)
		var tenths [10]int
		for id, rs := range got {
			first := rs[0].Start.Sub(begin)
			if first >= time.Second+grain {
				t.Fatalf("check %d: first probe after %s", id, first)
			}
			tenths[min(first/(100*time.Millisecond), 9)]++
			if gap := rs[1].Start.Sub(rs[0].Start); gap < time.Second-grain || gap > 10*time.Second+grain {
				t.Fatalf("check %d: second probe %s after the first", id, gap)
			}
			if gap := rs[2].Start.Sub(rs[1].Start); gap < 10*time.Second-grain || gap > 10*time.Second+grain {
				t.Fatalf("check %d: third probe %s after the second", id, gap)
			}
		}
		if len(got) != n {
			t.Fatalf("%d checks reported, want %d", len(got), n)
		}
		for i, c := range tenths {
			if c < n/10-20 || c > n/10+20 {
				t.Errorf("tenth %d of the first second: %d probes, want about %d", i, c, n/10)
			}
		}
	})
}

// Checks that are taken up from others come without a burst: within the time that
// they say, and never later than their interval, which they keep from then on.
func TestTakenUpChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var checks []Check
		for i := range uint64(n) {
			c := Check{ID: i, Region: "a/b", Prober: &fake{}, Interval: 10 * time.Second, Timeout: 2 * time.Second, First: 5 * time.Second}
			if i%2 == 0 {
				c.Interval, c.First = 4*time.Second, 30*time.Second
			}
			checks = append(checks, c)
		}
		begin := time.Now()
		var seconds [5]int
		for id, rs := range collect(t, Options{}, 25*time.Second, checks) {
			first := rs[0].Start.Sub(begin)
			if limit := min(checks[id].First, checks[id].Interval); first >= limit+grain {
				t.Fatalf("check %d: first probe after %s", id, first)
			}
			seconds[min(first/time.Second, 4)]++
			for _, d := range gaps(rs) {
				if d > checks[id].Interval+grain {
					t.Fatalf("check %d: %s from one probe to the next", id, d)
				}
			}
		}
		for i, c := range seconds[:4] {
			if c < 200 || c > 250 {
				t.Errorf("second %d: %d probes, want about %d", i, c, n/8+n/10)
			}
		}
	})
}

// TestSilentRegion is the big one: 20,000 checks in three regions, one of which
// is silent. The other two must not notice, neither with the automatic limit nor
// with one that is far too small for the silent region.
func TestSilentRegion(t *testing.T) {
	regions := []string{"aws/a", "gcp/b", "azure/c"}
	for name, limit := range map[string]int{"auto": 0, "600": 600} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				silent, fine := &fake{takes: 2 * time.Second}, &fake{takes: 20 * time.Millisecond}
				var checks []Check
				for i := range uint64(20000) {
					p := fine
					if i%3 == 0 {
						p = silent
					}
					checks = append(checks, check(i, regions[i%3], p))
				}
				out := make(chan Report, 1024)
				m := New(Options{Out: out, MaxInFlight: limit})
				defer m.Close()
				m.Set(checks)
				got := gather(out, 60*time.Second)
				worst := time.Duration(0)
				for id, rs := range got {
					if id%3 == 0 && limit > 0 {
						continue
					}
					for _, d := range gaps(rs) {
						worst = max(worst, d-10*time.Second)
					}
					if len(rs) < 6 {
						t.Fatalf("check %d: %d probes in a minute", id, len(rs))
					}
				}
				if worst > time.Second {
					t.Errorf("a probe of a healthy region was %s late", worst)
				}
				s := m.Stats()
				if s.InFlight > s.MaxInFlight || limit > 0 && s.MaxInFlight != limit {
					t.Errorf("%+v", s)
				}
				if behind := s.Overdue > 0; behind != (limit > 0) {
					t.Errorf("%d checks are overdue", s.Overdue)
				}
				t.Logf("latest %s, %+v", worst, s)
			})
		})
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Out: make(chan Report, 1000)})
		defer m.Close()
		if got := m.Stats().MaxInFlight; got != leastInFlight {
			t.Errorf("no checks: %d, want %d", got, leastInFlight)
		}
		var checks []Check
		for i := range uint64(2000) {
			checks = append(checks, check(i, "a/b", &fake{}))
		}
		m.Set(checks)
		if got := m.Stats().MaxInFlight; got != 800 { // 2 x 2,000 x 2 s / 10 s
			t.Errorf("2,000 checks: %d, want 800", got)
		}
	})
	many := map[uint64]*entry{1: {check: check(1, "a/b", greedy{})}}
	if got := autoLimit(many, 1<<40); got != files.MostOpen()/2/5 {
		t.Errorf("5 sockets each: %d of %d descriptors", got, files.MostOpen())
	}
}

// greedy is a prober that uses five sockets.
type greedy struct{ prober.Prober }

func (greedy) Sockets() int { return 5 }

func TestShares(t *testing.T) {
	for _, tc := range []struct {
		limit  int
		checks []int // per region
		want   []int
	}{
		{256, []int{1, 1}, []int{128, 128}},
		{256, []int{1000, 1}, []int{16 + 238, 1}},
		{256, []int{1000, 1000}, []int{128, 128}},
		{8, []int{1000, 1000, 2}, []int{3, 3, 1}},
		{2, []int{5, 5, 5}, []int{1, 1, 1}},
	} {
		m := &Monitor{limit: tc.limit, regions: map[string]*region{}}
		for i, n := range tc.checks {
			m.regions[string(rune('a'+i))] = &region{checks: n, need: float64(n) / 5}
		}
		m.shareLocked()
		for i, want := range tc.want {
			if got := m.regions[string(rune('a'+i))].share; got != want {
				t.Errorf("limit %d, checks %v: region %d has %d, want %d", tc.limit, tc.checks, i, got, want)
			}
		}
	}
}

// More regions than probes in flight: they take turns.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks []Check
		for i := range uint64(6) {
			checks = append(checks, check(i, string(rune('a'+i)), &fake{takes: time.Second}))
		}
		got := collect(t, Options{MaxInFlight: 1}, time.Minute, checks)
		for id := range uint64(6) {
			if n := len(got[id]); n < 5 || n > 8 {
				t.Errorf("region %d: %d probes", id, n)
			}
		}
	})
}
