package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Two regions of three fail at once, so that every resolver doubts itself. Those that
// divide their checks leave them as soon as those that do not, or as one alone.
func TestMostOfTheWorldFailsWhileChecksAreDivided(t *testing.T) {
	var took [3]time.Duration
	for which := range took {
		synctest.Test(t, func(t *testing.T) {
			all := gatherFleet(t, newHub(), wide(wideServices), nine[:[]int{9, 9, 1}[which]]...)
			for _, r := range all {
				if r.askedFor(); which == 0 {
					r.divides()
				}
			}
			pass(2 * time.Minute)
			silence(all, "192.0.2.", true)
			silence(all, "198.51.100.", true)
			began := time.Now()
			for slices.ContainsFunc(all, func(r *resolver) bool { return r.uses(aws)+r.uses(gcp) > 0 }) {
				if pass(100 * time.Millisecond); time.Since(began) > 5*time.Minute {
					t.Fatalf("%d services stay", all[0].uses(aws)+all[0].uses(gcp))
				}
			}
			took[which] = time.Since(began)
		})
	}
	if t.Logf("divided %v, not %v, alone %v", took[0], took[1], took[2]); took[0] > took[2]+10*time.Second {
		t.Error("too late")
	}
}

// A resolver's own uplink dies, and with it its way to the store. It doubts itself, as
// one does that is alone: what it takes up from others, whom it cannot hear any more,
// does not talk it out of that.
func TestAnUplinkDiesWhileChecksAreDivided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherNine(t, newHub())
		r := all[0]
		r.cutOff()
		for _, prefix := range []string{"192.0.2.", "198.51.100.", "203.0.113."} {
			silence(all[:1], prefix, true)
		}
		for range 60 {
			pass(time.Second)
			if r.uses(aws) != wideServices {
				t.Fatal("it moves something")
			}
		}
		if b := r.Summary().Brake; !b.On || b.Fired != 1 {
			t.Errorf("brake on: %v, fired %d times", b.On, b.Fired)
		}
		if probe, _, _ := probing(all[:1]); fewest(probe) != 1 {
			t.Error("it does not probe everything")
		}
	})
}
