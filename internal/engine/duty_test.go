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

// divider is a core that hears others once a second, and whose probes all pass.
type divider struct {
	*Core
	others []share.Opinion
	now    time.Time
	mute   bool // its own probes end nowhere
	deaf   bool // the others do not take what it says
}

// newDivider is a core that divides its checks with six others.
func newDivider(t *testing.T) *divider {
	d := &divider{Core: manyChecks(t, 40, func(int, int) health.Verdict { return health.Unknown }), now: now0}
	d.council.zone, d.council.duty.easy = "z0", 0
	for i := range 6 {
		d.others = append(d.others, share.Opinion{
			Observer: fmt.Sprint("o", i), Boot: "b", Zone: fmt.Sprint("z", i%3), Buckets: slices.Clone(d.council.digests[:]),
		})
	}
	d.Asked(func(*plan.Plan, int32) []uint64 { return nil }, d.now)
	return d
}

// pass lets seconds go by.
func (d *divider) pass(seconds int) {
	for range seconds {
		d.now = d.now.Add(time.Second)
		d.Hear(share.Read{Others: slices.Clone(d.others)}, d.now)
		for i := range d.states {
			if d.probed(int32(i)) && !d.mute {
				d.result(i, health.CauseNone)
			}
		}
		d.Asked(func(*plan.Plan, int32) []uint64 { return nil }, d.now)
		d.Sweep(d.now)
		d.Publish(d.now)
		if !d.deaf {
			d.council.duty.known = d.council.duty.version
		}
	}
}

func (d *divider) result(i int, c health.Cause) {
	d.Observe(int32(i), d.now, health.Result{At: d.now, Cause: c})
}

func (d *divider) count(p part) (n int) {
	for _, x := range d.council.duty.part {
		n += by(x == p)
	}
	return n
}

// first returns the first check of a part.
func (d *divider) first(p part) int { return slices.Index(d.council.duty.part, p) }

// all makes every observer say something else.
func (d *divider) all(change func(o *share.Opinion)) {
	for i := range d.others {
		change(&d.others[i])
	}
}

// A check is let go in steps: others are there for a while, it is probed for a while
// longer, the others know, and those who are to probe it say that they do.
func TestACheckIsLetGoInSteps(t *testing.T) {
	d := newDivider(t)
	n := len(d.states)
	d.deaf = true
	if d.pass(15); d.council.duty.team != nil {
		t.Fatal("divided with who has just come")
	}
	if d.pass(5); d.council.duty.team == nil || d.council.duty.team.Size() != 7 || d.count(own) != n || d.council.duty.told != nil {
		t.Fatalf("not divided, or %d checks let go at once", n-d.count(own))
	}
	if d.pass(20); d.count(own) != n {
		t.Fatal("let go without a wait")
	}
	if d.pass(20); d.count(own)+d.count(leaving) != n || d.count(leaving) < n/3 {
		t.Fatalf("%d leave, %d are left before the others know", d.count(leaving), d.count(away))
	}
	for i, p := range d.council.duty.part {
		if d.council.duty.tells(i) != (p == own) {
			t.Fatal("the others are told otherwise than it is")
		}
	}
	d.deaf = false
	d.all(func(o *share.Opinion) {
		o.Assigned = d.council.duty.roster.Mark(func(int) bool { return o.Observer != "o1" })
	})
	d.pass(5)
	for i, p := range d.council.duty.part {
		one := slices.Contains(d.names(i), "z1/o1")
		if p == away && one || p == leaving && !one {
			t.Fatalf("check %d is let go: %v; o1, who does not yet probe it, is to: %v", i, p == away, one)
		}
	}
	d.all(func(o *share.Opinion) { o.Assigned = nil })
	if d.pass(2); d.count(leaving) > 0 || d.count(away) < n/3 {
		t.Fatalf("%d leave still", d.count(leaving))
	}
	before := d.council.duty.version
	if d.pass(600); d.council.duty.version != before {
		t.Error("told anew at rest")
	}
}

// names are who probes a check by the team.
func (d *divider) names(i int) (out []string) {
	for _, m := range d.council.duty.team.Of(d.council.ids[i], nil) {
		out = append(out, d.council.duty.team.Name(m))
	}
	return out
}

// What is left to others is Down when they say so. When they go, it is taken up as
// they left it, and what is seen here counts once it has settled.
func TestWhatIsTakenUpBeginsWithWhatIsAgreed(t *testing.T) {
	d := newDivider(t)
	d.pass(60)
	up, down := d.first(away), 0
	for i, p := range d.council.duty.part {
		if p == away && i != up {
			down = i
		}
	}
	d.all(func(o *share.Opinion) {
		o.Judged = []share.Judged{{ID: d.council.ids[down], Verdict: health.Down, Cause: health.CauseRefused}}
	})
	d.pass(2)
	if d.views[up].Verdict != health.Up || d.views[down].Verdict != health.Down || d.views[down].Elsewhere {
		t.Fatalf("agreed: %v, %v", d.views[up].Verdict, d.views[down].Verdict)
	}
	kept := d.Keep(d.now).Checks
	if k := d.Plan.Checks[down].Key; kept[k].Verdict != health.Down || kept[d.Plan.Checks[up].Key].Verdict != health.Up {
		t.Errorf("kept for a restart: %+v", kept[k])
	}
	told, others := d.council.duty.told, d.others
	d.others, d.mute = nil, true
	d.now = d.now.Add(time.Second)
	d.Hear(share.Read{}, d.now)
	if d.views[up].Verdict != health.Up || d.views[down].Verdict != health.Down {
		t.Errorf("as soon as nobody is there: %v, %v", d.views[up].Verdict, d.views[down].Verdict)
	}
	d.pass(1)
	if d.count(away) > 0 || d.State(int32(up)).Verdict != health.Up || d.State(int32(down)).Verdict != health.Down || d.first(taken) < 0 {
		t.Fatalf("%d not taken up; they begin as %v, %v", d.count(away), d.State(int32(up)).Verdict, d.State(int32(down)).Verdict)
	}
	d.result(up, health.CauseNoRoute)
	d.result(down, health.CauseNone)
	if d.council.duty.part[up] != taken || d.council.duty.part[down] != taken || d.views[down].Verdict != health.Down {
		t.Error("settled by what says nothing, or too little")
	}
	d.others = others
	d.pass(1)
	if s := d.says(int32(down), "me"); slices.ContainsFunc(s, func(x Saying) bool { return x.Observer == "me" }) {
		t.Error("speaks of what has not settled")
	}
	d.result(up, health.CauseNone)
	d.result(down, health.CauseNone)
	d.result(down, health.CauseNone)
	if d.council.duty.part[up] != own || d.council.duty.part[down] != own {
		t.Fatal("not settled")
	}
	if d.pass(1); &d.council.duty.told[0] != &told[0] {
		t.Error("the others are told of some before all have settled")
	}
	if d.pass(30); d.first(taken) >= 0 {
		t.Error("what cannot be seen from here is not settled in the end")
	}
}

// A check of which nobody else has a verdict is probed by everybody, and one that
// somebody has is not.
func TestACheckThatNobodySpeaksOfIsTakenUp(t *testing.T) {
	d := newDivider(t)
	d.pass(60)
	i, n := d.first(away), d.count(away)
	d.all(func(o *share.Opinion) {
		o.Judged = []share.Judged{{ID: d.council.ids[i], Verdict: health.Unknown}}
	})
	if d.pass(2); !d.probed(int32(i)) || d.count(away) != n-1 {
		t.Errorf("probed: %v; %d of %d are left to others", d.probed(int32(i)), d.count(away), n)
	}
}

// Nothing is said of what the others are not told to be probed here, summed up or not.
func TestNothingIsSaidOfWhatIsNotTold(t *testing.T) {
	one := manyChecks(t, 1000, func(region, _ int) health.Verdict { return health.Down - health.Verdict(region) })
	told := func(i int) bool { return i%4 < 2 }
	one.council.duty.told = one.council.duty.roster.Mark(told)
	for i := 0; i < 40; i += 2 { // half of these are told
		one.states[i].Verdict = health.Up
	}
	for i := 1; i < 40; i += 2 {
		one.states[i].Verdict = health.Down
	}
	o := one.Opinion(now0)
	if len(o.Summed) != 0 || len(o.Judged) != 500 {
		t.Fatalf("%d listed, %d summed up", len(o.Judged), len(o.Summed))
	}
	for i := range one.states {
		one.states[i].Verdict = health.Down - health.Verdict(one.Plan.Checks[i].Region)
	}
	for i := range 8 {
		one.states[i].Verdict = health.Down
	}
	if o = one.Opinion(now0); len(o.Summed) != 1 || len(o.Summed[0].Except) > 0 {
		t.Fatalf("%d listed, %d summed up", len(o.Judged), len(o.Summed))
	}
	o.Observer, o.Zone = "r2", "gcp/europe-west1"
	other := manyChecks(t, 1000, func(int, int) health.Verdict { return health.Up })
	other.Hear(share.Read{Others: []share.Opinion{o}}, now0)
	for i := range one.states {
		v, ok := other.council.others[0].voice(int32(i))
		if ok != told(i) || ok && v.Verdict != one.states[i].Verdict {
			t.Fatalf("check %d: heard %v %v, said %v", i, ok, v.Verdict, one.states[i].Verdict)
		}
	}
	for r, n := range other.council.others[0].probes {
		if n != 500 {
			t.Errorf("%d checks of region %d are known to be probed there", n, r)
		}
	}
}

// What another one sees of a region vouches for what is seen here in proportion to
// what each of both probes.
func TestWhoSeesTheSame(t *testing.T) {
	for _, c := range []struct {
		down, probes, mine, failed int
		want                       bool
	}{
		{50, 100, 100, 100, true},
		{49, 100, 100, 100, false},
		{5, 10, 100, 100, true},
		{4, 10, 100, 100, false},
		{50, 100, 10, 10, true},
		{49, 100, 10, 10, false},
		{0, 0, 10, 10, false},
		{0, 100, 10, 5, true},
	} {
		o := &observer{down: []int{c.down}, probes: []int{c.probes}}
		if got := o.sees([]health.Tally{{Passing: 10, Failed: c.failed}}, []int{c.mine}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
