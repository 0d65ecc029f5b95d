package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// oneWriter is a service with one writer that goes back by itself, as fast as it may.
func oneWriter() string {
	return strings.Replace(singleWriter("DIR"), "single_writer: true", "single_writer: true\n    failback: {mode: auto, ramp: [100]}", 1)
}

// stays watches resolvers that left a dead region for good.
func stays(t *testing.T, all ...*resolver) {
	t.Helper()
	for range 60 {
		pass(time.Minute)
		for _, r := range all {
			if r.used() != gcp {
				t.Fatalf("back in the dead region: %s", inUse(all...))
			}
		}
	}
}

// One resolver has decided alone that a region is dead. Then a stolen token is heard,
// which says that all is up: it moves nobody back into what is dead.
func TestALoneLiarMovesNobodyBack(t *testing.T) {
	for name, yaml := range modes() {
		for _, second := range []string{fra, ams} {
			t.Run(name+" "+second, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					all := gatherFleet(t, h, yaml, fra, second)
					buckets := h.said("r1").Buckets
					all[1].Close()
					pass(time.Minute)
					all[0].set("192.0.2.10", true)
					if pass(2 * time.Minute); all[0].used() != gcp {
						t.Fatalf("it did not leave: %s", all[0].used())
					}
					h.lie(second, "r2", share.Opinion{Buckets: buckets})
					stays(t, all[0])
				})
			})
		}
	}
}

// The store is away while a region dies, and two resolvers leave it, each for itself.
// It comes back with a liar in it.
func TestALiarInTheStoreThatIsBack(t *testing.T) {
	for _, zones := range [][]string{{fra, fra, ams}, {fra, ams, lon}} {
		t.Run(strings.Join(zones, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, oneWriter(), zones...)
				buckets := h.said("r1").Buckets
				all[2].Close()
				h.lie(zones[2], "r3", share.Opinion{Buckets: buckets})
				pass(30 * time.Second)
				h.change(func() { h.frozen = true })
				pass(15 * time.Minute)
				for _, r := range all[:2] {
					r.set("192.0.2.10", true)
				}
				pass(2 * time.Minute)
				h.change(func() { h.frozen = false })
				stays(t, all[:2]...)
			})
		})
	}
}
