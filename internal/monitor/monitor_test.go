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
