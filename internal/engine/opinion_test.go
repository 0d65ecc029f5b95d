package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

var now0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// manyChecks is a core with n services over two regions, whose checks have the verdicts
// that f gives.
func manyChecks(t testing.TB, n int, f func(region, service int) health.Verdict) *Core {
	t.Helper()
	var b strings.Builder
	b.WriteString("admin: {listen: \"off\"}\nmonitors: {sql: {type: tcp, port: 5432}}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d.example.org: {monitors: [sql], pools: [{aws/us-east-1: [198.18.%d.%d]}, {gcp/europe-west1: [198.19.%d.%d]}]}\n",
			i, i/250, i%250+1, i/250, i%250+1)
	}
	c := NewCore(plan.Make(parse(t, b.String()), nil), nil, nil, now0)
	c.Join("onprem/fra1", 0, now0)
	seen := map[int]int{}
	for i := range c.states {
		r := c.Plan.Checks[i].Region
		c.states[i].Verdict, c.states[i].Cause = f(r, seen[r]), health.CauseTimeout
		seen[r]++
	}
	return c
}

// What a resolver says of a region that failed is short, and is understood.
func TestAFailedRegionIsSummedUp(t *testing.T) {
	verdict := func(region, service int) health.Verdict {
		switch {
		case region == 0 && service%100 == 7:
			return health.Up // a few live on
		case region == 0 && service%100 == 8:
			return health.Unknown
		case region == 0, service == 3:
			return health.Down
		}
		return health.Up
	}
	one := manyChecks(t, 1000, verdict)
	o := one.Opinion(now0)
	if len(o.Summed) != 1 || o.Summed[0].Region != "aws/us-east-1" || o.Summed[0].Cause != health.CauseTimeout || len(o.Judged) > 20 {
		t.Fatalf("%d summed, %d judged", len(o.Summed), len(o.Judged))
	}
	other := manyChecks(t, 1000, func(int, int) health.Verdict { return health.Up })
	o.Observer, o.Zone = "r2", "gcp/europe-west1"
	other.Hear(share.Read{Others: []share.Opinion{o}}, now0)
	for i := range one.states {
		v, ok := other.council.others[0].voice(int32(i))
		want := one.states[i].Verdict
		if ok != (want != health.Unknown) || ok && v.Verdict != want {
			t.Fatalf("check %d: heard %v %v, said %v", i, ok, v.Verdict, want)
		}
	}
}

// A few failures are said one by one.
func TestFewFailuresAreListed(t *testing.T) {
	c := manyChecks(t, 1000, func(region, service int) health.Verdict {
		if region == 1 && service < 400 {
			return health.Down
		}
		return health.Up
	})
	if o := c.Opinion(now0); len(o.Summed) != 0 || len(o.Judged) != 400 {
		t.Errorf("%d summed, %d judged", len(o.Summed), len(o.Judged))
	}
}

// Whatever the others say, nothing of it reaches a check that they do not know,
// and nobody without a voice counts.
func TestWhoHasNoVoice(t *testing.T) {
	c := manyChecks(t, 2, func(int, int) health.Verdict { return health.Up })
	down := []share.Judged{{ID: c.council.ids[0], Verdict: health.Down, Cause: health.CauseRefused}, {ID: 42, Verdict: health.Down}}
	same := c.council.digests[:]
	other := make([]uint32, len(same))
	only := func(check int) [][]byte { return c.council.duty.roster.Mark(func(i int) bool { return i == check }) }
	for what, o := range map[string]share.Opinion{
		"braked":              {Buckets: same, Judged: down, Braked: true},
		"of another file":     {Buckets: other, Judged: down},
		"not assigned":        {Buckets: same, Judged: down, Assigned: only(1)},
		"assigned elsewhere":  {Buckets: other, Judged: down, Assigned: only(0)},
		"assigned oddly":      {Buckets: same, Judged: down, Assigned: only(0)[:5]},
		"assigned too much":   {Buckets: same, Judged: down, Assigned: append([][]byte{}, make([][]byte, 64)...)},
		"without a verdict":   {Buckets: same, Judged: []share.Judged{{ID: c.council.ids[0], Verdict: health.Unknown}}},
		"without buckets":     {Plan: c.council.digest, Judged: down},
		"with other buckets":  {Plan: c.council.digest, Judged: down, Buckets: same[:32]},
		"of a strange region": {Buckets: other, Summed: []share.Summed{{Region: "nowhere/at-all", Except: []uint64{1, 2, 3}}}},
	} {
		o.Observer = "r2"
		c.Hear(share.Read{Others: []share.Opinion{o}}, now0)
		if _, ok := c.council.others[0].voice(0); ok {
			t.Errorf("%s: has a voice", what)
		}
	}
	c.Hear(share.Read{Others: []share.Opinion{{Observer: "r2", Plan: "told to people only", Buckets: same, Judged: down}}}, now0)
	if v, ok := c.council.others[0].voice(0); !ok || v.Verdict != health.Down {
		t.Errorf("with the same checks: has a voice: %v, %v", ok, v)
	}
	if c.council.contact != agree.Agreeing {
		t.Errorf("contact: %v", c.council.contact)
	}
}

// Two resolvers whose services differ by one are silent to each other on its checks
// and on those that share a bucket with them, and on no other: there what one does
// not list is Up for the other, and what it sums up of a region is Down.
func TestSilentInABucket(t *testing.T) {
	const n = 1000
	down := func(region, _ int) health.Verdict {
		return map[bool]health.Verdict{true: health.Down, false: health.Up}[region == 0]
	}
	more, fewer := manyChecks(t, n, down), manyChecks(t, n-1, down)
	hear := func(c *Core, o share.Opinion) (silent agree.Buckets, heard int) {
		o.Observer, o.Zone = "r2", "gcp/europe-west1"
		c.Hear(share.Read{Others: []share.Opinion{o}}, now0)
		for i := range c.states {
			v, ok := c.council.others[0].voice(int32(i))
			switch {
			case !ok:
				silent |= c.council.buckets[i]
			case v.Verdict != c.states[i].Verdict:
				t.Fatalf("check %d: heard %v, said %v", i, v.Verdict, c.states[i].Verdict)
			default:
				heard++
			}
		}
		return silent, heard
	}
	strange := agree.Buckets(0)
	for i := range more.states {
		if _, common := fewer.council.byID[more.council.ids[i]]; !common {
			strange |= more.council.buckets[i]
		}
	}
	for name, c := range map[string]*Core{"more": more, "fewer": fewer} {
		o := map[string]*Core{"more": fewer, "fewer": more}[name].Opinion(now0)
		if len(o.Summed) != 1 {
			t.Fatal("not summed up")
		}
		silent, heard := hear(c, o)
		if silent != strange || heard < len(c.states)*9/10 {
			t.Errorf("who has %s: silent in buckets %x, want %x; heard on %d of %d checks", name, silent, strange, heard, len(c.states))
		}
		if got := c.common(c.council.others[0].alike); got != heard {
			t.Errorf("who has %s: %d in common, heard on %d", name, got, heard)
		}
	}
}
