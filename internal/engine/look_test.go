package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

// BenchmarkLook brings up to date, as once a second, who probes what of 10,000 checks
// with 50 observers: at rest, and when one has come or gone.
func BenchmarkLook(b *testing.B) {
	c := manyChecks(b, 5000, func(int, int) health.Verdict { return health.Up })
	c.council.zone, c.council.duty.easy = "z0", 0
	var others []share.Opinion
	for i := range 49 {
		others = append(others, share.Opinion{Observer: fmt.Sprint("o", i), Boot: "b", Zone: fmt.Sprint("z", i%5), Buckets: slices.Clone(c.council.digests[:])})
	}
	now := now0
	hear := func(n int) {
		now = now.Add(time.Second)
		c.Hear(share.Read{Others: others[:n]}, now)
		c.Asked(func(*plan.Plan, int32) []uint64 { return nil }, now)
		c.look(now)
		c.council.duty.known = c.council.duty.version
	}
	c.Publish(now)
	for range 90 {
		hear(49)
	}
	b.Logf("%d of %d checks are left to others", c.council.duty.left(), len(c.states))
	b.Run("rest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.look(now)
		}
	})
	b.Run("divide", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.council.duty.fresh = true
			c.look(now)
		}
	})
}
