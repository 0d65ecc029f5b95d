package monitor

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/prober"
)

func TestSetKeepsSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 1000)
		m := New(Options{Out: out})
		defer m.Close()
		slow := &fake{takes: 1500 * time.Millisecond}
		checks := []Check{check(1, "a/b", &fake{}), check(2, "a/b", slow), check(3, "a/b", &fake{}), check(4, "c/d", slow)}
		m.Set(checks)
		before := gather(out, 25*time.Second)
		// Every 300 ms, so that some calls meet each check in flight, in another
		// order and with the region of one changed.
		after := map[uint64][]Report{}
		for i := range 100 {
			checks[3].Region = []string{"a/b", "c/d"}[i%2]
			slices.Reverse(checks)
			m.Set(slices.Clone(checks))
			slices.Reverse(checks)
			for id, rs := range gather(out, 300*time.Millisecond) {
				after[id] = append(after[id], rs...)
			}
		}
		for _, c := range checks {
			rs := append(before[c.ID][2:], after[c.ID]...)
			if len(rs) < 4 {
				t.Errorf("check %d: %d probes", c.ID, len(rs))
			}
			for _, d := range gaps(rs) {
				if !near(d, 10*time.Second) {
					t.Errorf("check %d: gap %s, want 10 s", c.ID, d)
				}
			}
		}
		if s := m.Stats(); s.Checks != 4 || s.Waiting != 0 || s.Overdue != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSetAddsAndRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 1000)
		m := New(Options{Out: out, MaxInFlight: 1})
		defer m.Close()
		slow := &fake{takes: 2 * time.Second}
		m.Set([]Check{check(1, "a/b", slow), check(2, "a/b", slow), check(3, "a/b", slow)})
		<-time.After(time.Second) // one is flying, two wait
		if s := m.Stats(); s.InFlight != 1 || s.Waiting != 2 {
			t.Fatalf("%+v", s)
		}
		m.Set([]Check{check(4, "a/b", &fake{}), check(4, "x/y", &fake{})})
		if s := m.Stats(); s.Checks != 1 || s.Waiting != 0 || !s.LastRound.IsZero() {
			t.Errorf("%+v", s)
		}
		got := gather(out, 30*time.Second)
		if len(got) != 1 || len(got[4]) < 3 {
			t.Errorf("reports of %v", got)
		}
		if s := m.Stats(); s.LastRound.IsZero() || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		m.Set(nil)
		if got := gather(out, 30*time.Second); len(got) != 0 {
			t.Errorf("reports without checks: %v", got)
		}
		if s := m.Stats(); s != (Stats{MaxInFlight: 1}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestSetChangesInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 1000)
		m := New(Options{Out: out})
		defer m.Close()
		c := check(1, "a/b", &fake{})
		m.Set([]Check{c})
		gather(out, 21*time.Second)
		c.Interval = 2 * time.Second
		m.Set([]Check{c})
		for _, d := range gaps(gather(out, 20*time.Second)[1])[2:] { // until the new rhythm is found
			if !near(d, 2*time.Second) {
				t.Errorf("gap %s, want 2 s", d)
			}
		}
		c.Interval = 30 * time.Second
		m.Set([]Check{c})
		if ds := gaps(gather(out, 100*time.Second)[1]); len(ds) < 2 || !near(ds[len(ds)-1], 30*time.Second) {
			t.Errorf("gaps %v, want 30 s", ds)
		}
	})
}

// Set, Hurry, Now and Stats at the same time, for the race detector.
func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 16)
		m := New(Options{Out: out})
		var checks []Check
		for i := range uint64(200) {
			checks = append(checks, check(i, "a/b", &fake{takes: time.Duration(i) * 20 * time.Millisecond, onRun: func(prober.Target) {}}))
		}
		done := make(chan struct{})
		for n := range 4 {
			go func() {
				for tick := time.NewTicker(70 * time.Millisecond); ; {
					select {
					case <-tick.C:
						m.Set(checks[n*10 : 100+n*20])
						m.Now(uint64(n))
						m.Hurry(50, time.Now())
						m.Stats()
					case <-done:
						return
					}
				}
			}()
		}
		gather(out, 20*time.Second)
		close(done)
		m.Close()
		if s := m.Stats(); s.Checks == 0 {
			t.Errorf("%+v", s)
		}
	})
}
