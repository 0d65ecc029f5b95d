package monitor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/prober"
)

// fake is a prober that takes some time and gives a cause.
type fake struct {
	takes time.Duration
	cause health.Cause
	onRun func(prober.Target)
}

func (f *fake) Probe(ctx context.Context, t prober.Target) health.Result {
	if f.onRun != nil {
		f.onRun(t)
	}
	if f.takes > 0 {
		timer := time.NewTimer(f.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return health.Result{At: time.Now(), Cause: f.cause}
}

// collect runs a monitor with some checks for a while, in fake time, and returns
// its reports by check.
func collect(t *testing.T, o Options, d time.Duration, checks []Check) map[uint64][]Report {
	t.Helper()
	out := make(chan Report, 1024)
	o.Out = out
	m := New(o)
	m.Set(checks)
	got := gather(out, d)
	m.Close()
	return got
}

// gather reads reports for a while.
func gather(out <-chan Report, d time.Duration) map[uint64][]Report {
	got := map[uint64][]Report{}
	for end := time.After(d); ; {
		select {
		case r := <-out:
			got[r.ID] = append(got[r.ID], r)
		case <-end:
			return got
		}
	}
}

// check returns a check with the usual times.
func check(id uint64, region string, p prober.Prober) Check {
	return Check{ID: id, Region: region, Prober: p, Interval: 10 * time.Second, Timeout: 2 * time.Second, Confirm: time.Second}
}

// gaps returns the times between the starts of reports.
func gaps(rs []Report) []time.Duration {
	var ds []time.Duration
	for i := 1; i < len(rs); i++ {
		ds = append(ds, rs[i].Start.Sub(rs[i-1].Start))
	}
	return ds
}

// near reports whether two times are equal but for the scheduler's grain.
func near(a, b time.Duration) bool { return (a - b).Abs() <= grain }

func TestStartToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := collect(t, Options{}, 65*time.Second, []Check{
			check(1, "a/b", &fake{}),
			check(2, "a/b", &fake{takes: 2 * time.Second}),
			check(3, "a/b", &fake{takes: 9999 * time.Millisecond}),
		})
		for id := range uint64(3) {
			ds := gaps(got[id+1])
			if len(ds) < 5 || ds[0] > 10*time.Second+grain {
				t.Fatalf("check %d: gaps %v", id+1, ds)
			}
			// The second probe may have had to wait for the end of the first.
			for _, d := range ds[2:] {
				if !near(d, 10*time.Second) {
					t.Errorf("check %d: gaps %v, want 10 s", id+1, ds)
				}
			}
		}
	})
}

// A probe that takes longer than the interval is followed at once by the next,
// never accompanied by it, and that is no late start.
func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := collect(t, Options{}, 60*time.Second, []Check{check(1, "a/b", &fake{takes: 11 * time.Second})})
		for _, r := range got[1] {
			if r.Result.Cause != health.CauseNone {
				t.Errorf("cause %s (%s)", r.Result.Cause, r.Result.Detail)
			}
		}
		for _, d := range gaps(got[1])[1:] {
			if !near(d, 11*time.Second) {
				t.Errorf("gap %s, want 11 s", d)
			}
		}
	})
}

func TestHurry(t *testing.T) {
	for _, tc := range []struct {
		name  string
		takes time.Duration
		after time.Duration // when Hurry is called, from the start of the third probe
		at    time.Duration // what it asks for, from the same
		want  time.Duration // the next start, from the same
	}{
		{"confirm", 0, 10 * time.Millisecond, time.Second, time.Second},
		{"in the past", 0, 3 * time.Second, time.Second, 3 * time.Second},
		{"later than planned", 0, time.Second, 15 * time.Second, 10 * time.Second},
		{"while under way", 2 * time.Second, time.Second, 4 * time.Second, 4 * time.Second},
		{"while under way, in the past", 2 * time.Second, 1500 * time.Millisecond, time.Second, 2 * time.Second},
		{"while under way, already met", 2 * time.Second, time.Second, -time.Second, 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				starts := make(chan time.Time, 100)
				out := make(chan Report, 100)
				m := New(Options{Out: out})
				defer m.Close()
				m.Set([]Check{check(1, "a/b", &fake{takes: tc.takes, onRun: func(prober.Target) { starts <- time.Now() }})})
				<-starts
				<-starts
				begin := <-starts
				<-time.After(tc.after)
				m.Hurry(1, begin.Add(tc.at))
				m.Hurry(9, begin) // nobody's
				if got := (<-starts).Sub(begin); !near(got, tc.want) {
					t.Errorf("next start after %s, want %s", got, tc.want)
				}
				// The old rhythm comes back.
				if got := (<-starts).Sub(begin); !near(got, 10*time.Second) && !near(got, 20*time.Second) {
					t.Errorf("start after next after %s, want 10 s or 20 s", got)
				}
				for len(out) > 0 {
					if r := <-out; !r.Result.Cause.OK() {
						t.Errorf("cause %s (%s)", r.Result.Cause, r.Result.Detail)
					}
				}
			})
		})
	}
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 100)
		m := New(Options{Out: out})
		defer m.Close()
		m.Set([]Check{check(1, "a/b", &fake{}), check(2, "a/b", &fake{}), check(3, "a/b", &fake{})})
		gather(out, 11*time.Second)
		m.Now(2)
		if got := gather(out, grain*2); len(got[2]) == 0 {
			t.Errorf("Now(2): %v", got)
		}
		m.Now()
		if got := gather(out, grain*2); len(got) != 3 {
			t.Errorf("Now(): %v", got)
		}
	})
}

func TestCloseStopsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Out: make(chan Report)}) // nobody reads
		m.Set([]Check{check(1, "a/b", &fake{takes: time.Hour}), check(2, "a/b", &fake{})})
		<-time.After(5 * time.Second)
		if s := m.Stats(); s.InFlight != 2 {
			t.Errorf("%+v, want 2 in flight", s)
		}
		begin := time.Now()
		m.Close()
		m.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close took %s", took)
		}
		m.Set(nil)
		m.Now()
		m.Hurry(1, time.Now())
	})
}

// A reader that is slow holds back probes instead of piling up goroutines.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Out: make(chan Report), MaxInFlight: 3})
		var checks []Check
		for i := range uint64(10) {
			checks = append(checks, check(i, "a/b", &fake{}))
		}
		m.Set(checks)
		<-time.After(time.Minute)
		if s := m.Stats(); s.InFlight != 3 || s.Waiting != 7 || s.Overdue != 10 || !s.LastRound.IsZero() {
			t.Errorf("%+v", s)
		}
		m.Close()
	})
}

// What starts late because the process did not run is no news of the endpoint.
func TestLateStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := make(chan Report, 100)
		m := New(Options{Out: out, Rand: func() float64 { return 0.9 - golden }})
		defer m.Close()
		m.Set([]Check{check(1, "a/b", &fake{}), check(2, "a/b", &fake{})})
		synctest.Wait() // first probes are due at 0.9 s and 0.518 s
		m.round(time.Now().Add(1100 * time.Millisecond))
		got := gather(out, time.Millisecond)
		if r := got[1][0].Result; r.Cause != health.CauseNone {
			t.Errorf("200 ms late: cause %s", r.Cause)
		}
		if r := got[2][0].Result; r.Cause != health.CauseLate || r.Detail != "started 582ms late" {
			t.Errorf("582 ms late: cause %s, detail %q", r.Cause, r.Detail)
		}
	})
}
