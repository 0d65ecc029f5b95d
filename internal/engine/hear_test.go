package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// crowdOf returns what 50 observers in five zones say of the checks of c, each that
// the first n of them are Down, and later that one more is.
func crowdOf(c *Core, n int) (one, other share.Read) {
	for i := range 50 {
		o := share.Opinion{
			Observer: fmt.Sprint("o", i), Boot: "b", Zone: fmt.Sprint("z", i%5), Buckets: slices.Clone(c.council.digests[:]),
		}
		for k := range n + 1 {
			o.Judged = append(o.Judged, share.Judged{ID: c.council.ids[2*k], Verdict: health.Down, Cause: health.CauseTimeout})
		}
		other.Others = append(other.Others, o)
		o.Judged = o.Judged[:n:n]
		one.Others = append(one.Others, o)
	}
	return one, other
}

// BenchmarkHear takes in what 50 observers say of 10,000 checks: what they said
// before, one more check that is Down, and a region that fails check by check.
func BenchmarkHear(b *testing.B) {
	for _, c := range []struct {
		name string
		down int
		news bool
	}{{"same", 0, false}, {"one_more", 0, true}, {"same_500_down", 500, false}, {"one_more_500_down", 500, true}} {
		b.Run(c.name, func(b *testing.B) {
			core := manyChecks(b, 5000, func(int, int) health.Verdict { return health.Up })
			one, other := crowdOf(core, c.down)
			now := now0
			core.Hear(one, now)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Second)
				if c.news && i%2 == 0 {
					core.Hear(other, now)
				} else {
					core.Hear(one, now)
				}
			}
		})
	}
}

// What is taken in change by change comes to the same as what is taken in whole,
// whatever the others say, in whatever order they come and go.
func TestHearingChangesIsHearingAll(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 20 {
		one, all := manyChecks(t, 30, func(int, int) health.Verdict { return health.Up }), manyChecks(t, 30, func(int, int) health.Verdict { return health.Up })
		var said []share.Opinion
		now := now0
		for range 200 {
			now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
			said = someSay(r, one, said)
			read := share.Read{Others: slices.Clone(said)}
			all.council.doubted = true
			for _, c := range []*Core{one, all} {
				c.Hear(read, now)
			}
			if i := r.IntN(len(one.states)); r.IntN(3) == 0 {
				res := health.Result{At: now, Cause: health.Cause(r.IntN(3))}
				one.Observe(int32(i), now, res)
				all.Observe(int32(i), now, res)
			}
			if r.IntN(4) == 0 {
				one.Sweep(now)
				all.Sweep(now)
			}
			for i := range one.views {
				a, b := &one.views[i], &all.views[i]
				if a.Verdict != b.Verdict || a.Elsewhere != b.Elsewhere || a.Cause != b.Cause || !a.Since.Equal(b.Since) || a.Confirming != b.Confirming {
					t.Fatalf("check %d: %+v and %+v", i, a, b)
				}
			}
		}
	}
}

// someSay returns what observers say next: one of them says something else, comes,
// or goes.
func someSay(r *rand.Rand, c *Core, said []share.Opinion) []share.Opinion {
	said = slices.Clone(said)
	if len(said) < 3 || r.IntN(10) == 0 && len(said) < 7 {
		said = append(said, share.Opinion{Observer: fmt.Sprint("o", r.IntN(1<<30)), Boot: "b", Zone: fmt.Sprint("z", r.IntN(3)), Buckets: slices.Clone(c.council.digests[:])})
	}
	at := r.IntN(len(said))
	o := &said[at]
	switch r.IntN(12) {
	case 0:
		return slices.Delete(said, at, at+1)
	case 1:
		o.Braked = !o.Braked
	case 2:
		o.Zone = fmt.Sprint("z", r.IntN(3))
	case 3:
		o.Buckets = slices.Clone(o.Buckets)
		o.Buckets[r.IntN(64)] ^= 1
	case 4:
		o.Assigned = c.council.duty.roster.Mark(func(int) bool { return r.IntN(2) == 0 })
	case 5:
		o.Assigned = nil
	case 6:
		o.Summed = []share.Summed{{Region: "aws/us-east-1", Cause: health.CauseTimeout, Except: []uint64{c.council.ids[r.IntN(len(c.council.ids))]}}}
	case 7:
		o.Summed, o.Judged = nil, nil
	default:
		j := share.Judged{ID: c.council.ids[r.IntN(len(c.council.ids))], Verdict: health.Verdict(2 * r.IntN(2)), Cause: health.CauseTimeout, Age: time.Duration(r.IntN(1e9))}
		o.Judged = append(slices.DeleteFunc(slices.Clone(o.Judged), func(x share.Judged) bool { return x.ID == j.ID }), j)
	}
	return said
}
