package steer

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"github.com/detour-dns/detour/internal/health"
)

// TestWhatHealsBehindAFreeze holds that it waits from the end of the freeze, as if it had
// come up then, and that what is in use stays in use.
func TestWhatHealsBehindAFreeze(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	y.then(time.Minute, dead(2, 0))
	y.then(2*time.Minute, dead(2, 0), frozen)
	st := y.then(3*time.Minute, up(2), frozen)
	if !st.Pending || st.Thawed != 0b1 || st.From != 0b10 || st.Memory.Pools[1].Out {
		t.Errorf("frozen: pending %v, without the freeze %b, from %b, %+v", st.Pending, st.Thawed, st.From, st.Memory.Pools[1])
	}
	end := 30 * time.Minute
	if st := y.then(end, up(2)); st.From != 0b10 || st.Pools[0].Share != 0 || !st.Pools[0].Until.Equal(t0.Add(end+5*time.Minute)) {
		t.Errorf("thawed: from %b, %+v", st.From, st.Pools[0])
	}
	if st := y.then(end+5*time.Minute, up(2)); st.Pools[0].Share != 10 {
		t.Errorf("five minutes later: %d %%", st.Pools[0].Share)
	}
}

// TestAFreezeMakesWhatIsBetterReturn holds that a pool which was left for lack of news
// returns at once, but for one that would have done so during a freeze.
func TestAFreezeMakesWhatIsBetterReturn(t *testing.T) {
	for _, freeze := range []bool{false, true} {
		y := begin(small("aws/a", "gcp/b"))
		quiet := up(2)
		quiet[0] = stale
		if st := y.then(time.Minute, quiet); st.From != 0b10 || st.Memory.Pools[0].Out {
			t.Fatalf("without news: from %b, %+v", st.From, st.Memory.Pools[0])
		}
		want := uint64(0b1)
		if freeze {
			want = 0b10
			y.then(2*time.Minute, quiet, frozen)
			if m := y.then(3*time.Minute, up(2), frozen).Memory; !m.Pools[0].Out || m.Pools[1].Out {
				t.Errorf("frozen: %+v", m.Pools)
			}
		}
		if st := y.then(4*time.Minute, up(2)); st.From != want {
			t.Errorf("freeze %v: from %b, want %b", freeze, st.From, want)
		}
	}
}

// TestWhenTrafficMoved holds that it is noted of the pool that it moved onto, and of no
// pool that had it from the beginning.
func TestWhenTrafficMoved(t *testing.T) {
	y := begin(small("aws/a", "gcp/b", "azure/c"))
	st := y.then(time.Minute, dead(3, 0))
	for p, want := range []time.Time{zero, t0.Add(time.Minute), zero} {
		if got := st.Memory.Pools[p].Onto; !got.Equal(want) {
			t.Errorf("pool %d: %v, want %v", p, got, want)
		}
	}
	if st.Memory.Since != t0.Add(time.Minute) {
		t.Errorf("in use since %v", st.Memory.Since)
	}
}

// TestWhatCountsAsAnEjection holds that a failure counts once, and what people take out
// or what merely is not heard of does not count.
func TestWhatCountsAsAnEjection(t *testing.T) {
	quiet := up(2)
	quiet[0] = stale
	for name, c := range map[string]struct {
		views []health.View
		edit  func(*Input)
		count int
		out   bool
	}{
		"a failure": {dead(2, 0), by(), 1, true},
		"a drain":   {up(2), by(Override{Target: "aws/a", Kind: Drain}), 0, true},
		"no news":   {quiet, by(), 0, false},
	} {
		y := begin(small("aws/a", "gcp/b"))
		for i := range 3 {
			m := y.then(time.Duration(i+1)*time.Minute, c.views, c.edit).Memory.Pools[0]
			if len(m.Ejected) != c.count || m.Out != c.out {
				t.Errorf("%s, %d times: %+v", name, i+1, m)
			}
		}
	}
	y := begin(small("aws/a", "gcp/b"))
	y.then(time.Minute, dead(2, 0))
	y.then(2*time.Minute, up(2))
	if m := y.then(3*time.Minute, dead(2, 0)).Memory.Pools[0]; len(m.Ejected) != 2 {
		t.Errorf("it failed on its way back: %+v", m)
	}
}

// TestWhatIsMerelyUnknown holds what of its endpoints makes a pool fail.
func TestWhatIsMerelyUnknown(t *testing.T) {
	for _, c := range []struct {
		e    EndpointState
		want bool
	}{
		{EndpointState{Standing: Doubtful, Why: WhyStale}, true},
		{EndpointState{Standing: Dark, Why: WhyUnresolved}, true},
		{EndpointState{Standing: Doubtful, Why: WhyHere}, true},
		{EndpointState{Standing: Held, Why: WhyHoldDown}, true},
		{EndpointState{Standing: Held, Why: WhyRegion}, false},
		{EndpointState{Standing: Sick, Why: WhyDown}, false},
		{EndpointState{Standing: None, Why: WhyDrained}, false},
	} {
		ps := &PoolState{Ends: []EndpointState{{Standing: Ready}, c.e}}
		if got := ps.merelyUnknown(); got != c.want {
			t.Errorf("%v, %v: %v", c.e.Standing, c.e.Why, got)
		}
	}
}

// TestAReturnComesToItsEnd holds that a pool which has all its clients again is no longer
// on its way back, unless its endpoints are held back for longer than that.
func TestAReturnComesToItsEnd(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	y.then(time.Minute, dead(2, 0))
	y.then(2*time.Minute, up(2))
	for after, want := range map[time.Duration]int{7: 10, 8: 25, 9: 50} {
		if st := y.then(after*time.Minute, up(2)); st.Pools[0].Share != want || st.From != 0b10 || !st.Memory.AnyOut() {
			t.Errorf("%d minutes: %d %%, from %b", after, st.Pools[0].Share, st.From)
		}
	}
	late := up(2)
	late[0] = heldBack(t0.Add(10 * time.Minute))
	if st := y.then(10*time.Minute, late); st.From != 0b10 || !st.Memory.Pools[0].Out {
		t.Errorf("in hold-down: from %b, %+v", st.From, st.Memory.Pools[0])
	}
	if st := y.then(11*time.Minute, late); st.From != 0b1 || st.Memory.AnyOut() {
		t.Errorf("at its end: from %b, %+v", st.From, st.Memory.Pools[0])
	}
}

// TestNothingBetterIsThere holds that who is chosen because all others are worse waits for
// nothing any more, for this time; what the last snapshot remembers stays as it is.
func TestNothingBetterIsThere(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	before := y.s
	at := time.Minute
	views := dead(2, 0)
	views[1] = heldBack(t0.Add(at))
	st := y.then(at, views)
	e, m := st.Pools[1].Ends[0], st.Memory.Pools[1].Ends[0]
	if st.From != 0b10 || e.Standing != Ready || e.Why != WhyUp || !m.Served.Equal(views[1].Ejected.Last()) || m.Served.IsZero() {
		t.Errorf("in hold-down: %+v, %+v", e, m)
	}
	if m := before.State(0).Memory.Pools[1].Ends[0]; m != (EndpointMemory{Label: m.Label}) {
		t.Errorf("the last snapshot remembers %+v", m)
	}
	y = begin(small("aws/a", "gcp/b"))
	y.then(time.Minute, up(2), by(Override{Target: "gcp/b", Kind: ForceDown}))
	drained := y.s
	if e := y.then(2*time.Minute, dead(2, 0)).Pools[1].Ends[0]; e.Standing != Ready {
		t.Errorf("just released: %+v", e)
	}
	if m := drained.State(0).Memory.Pools[1].Ends[0]; !m.Forced || !m.Released.IsZero() {
		t.Errorf("the last snapshot remembers %+v", m)
	}
}

// TestOnlyWhatIsNeededIsSpared holds that a pool which is chosen on its way back, and has
// an endpoint that is ready, leaves the others in their hold-down.
func TestOnlyWhatIsNeededIsSpared(t *testing.T) {
	p := small("aws/a", "gcp/b")
	other := p.Services[0].Pools[1].Endpoints[0]
	other.Label, other.Addrs = "other", []Addr{{IP: netip.MustParseAddr("10.0.1.1"), Checks: []int32{2}}}
	p.Services[0].Pools[1].Endpoints = append(p.Services[0].Pools[1].Endpoints, other)
	p.Checks = 3
	y := begin(p)
	y.then(time.Minute, dead(3, 1, 2))
	y.then(2*time.Minute, up(3))
	views := dead(3, 0)
	views[2] = heldBack(t0.Add(3 * time.Minute))
	st := y.then(3*time.Minute, views)
	if ends := st.Pools[1].Ends; st.From != 0b10 || st.Memory.Pools[1].Out || ends[0].Standing != Ready || ends[1].Standing != Held {
		t.Errorf("from %b, %+v", st.From, ends)
	}
}

// TestWhatIsSpared holds that of what holds endpoints back only the wait for people and
// for hold-downs ends, in a copy of what is remembered.
func TestWhatIsSpared(t *testing.T) {
	until := t0.Add(time.Minute)
	ps := &PoolState{Ends: []EndpointState{
		{Standing: Held, Why: WhyHoldDown, Until: until, View: health.View{Ejected: health.Ejections{t0}}},
		{Standing: Held, Why: WhyReleased, Until: until},
		{Standing: Held, Why: WhyRegion},
		{Standing: None, Why: WhyDrained},
	}}
	before := []EndpointMemory{{}, {Released: t0}, {}, {}}
	pm := &PoolMemory{Ends: before}
	if !ps.spare(pm) || ps.spare(pm) {
		t.Error("it is done once")
	}
	for e, want := range []struct {
		Standing
		served time.Time
	}{{Ready, t0}, {Ready, zero}, {Held, zero}, {None, zero}} {
		if got := ps.Ends[e].Standing; got != want.Standing || !pm.Ends[e].Served.Equal(want.served) || !pm.Ends[e].Released.IsZero() || !before[e].Served.IsZero() {
			t.Errorf("endpoint %d: %v, %+v, before %+v", e, got, pm.Ends[e], before[e])
		}
	}
}

// TestManualStaysWhereItIs holds that a service whose failback is manual does not move
// among pools that are equally bad, and does to one that is less so.
func TestManualStaysWhereItIs(t *testing.T) {
	sick := func(which ...int) []health.View { return down(dead(3, 0, 1, 2), health.CauseStatus, which...) }
	for name, c := range map[string]struct {
		views       []health.View
		manual, not uint64
	}{
		"all dark":           {sick(), 0b10, 0b1},
		"all sick":           {sick(0, 1, 2), 0b10, 0b1},
		"it and first sick":  {sick(0, 1), 0b10, 0b1},
		"only it dark":       {sick(0, 2), 0b1, 0b1},
		"only the last sick": {sick(2), 0b100, 0b100},
		"only it sick":       {sick(1), 0b10, 0b10},
	} {
		for _, manual := range []bool{true, false} {
			p := small("aws/a", "gcp/b", "azure/c")
			p.Services[0].Failback.Manual = manual
			y := begin(p)
			y.then(time.Minute, dead(3, 0))
			want := c.not
			if manual {
				want = c.manual
			}
			if st := y.then(2*time.Minute, c.views); st.From != want {
				t.Errorf("%s, manual %v: from %b, want %b", name, manual, st.From, want)
			}
		}
	}
}

// TestManualGoesWhereMostAreLeft holds that such a service, once it must move, prefers the
// pool of which more is left.
func TestManualGoesWhereMostAreLeft(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	s := &p.Services[0]
	s.Failback.Manual = true
	s.Pools[0].Endpoints = append(s.Pools[0].Endpoints, end("x", 3, "10.0.1.1"), end("y", 4, "10.0.1.2"))
	p.Checks = 5
	y := begin(p)
	y.then(time.Minute, dead(5, 0, 1, 3, 4))
	if st := y.then(2*time.Minute, down(dead(5, 0, 1, 2, 3, 4), health.CauseStatus, 0, 1)); st.From != 0b10 {
		t.Errorf("from %b, with pools at %v, %v and %v", st.From, st.Pools[0].Standing, st.Pools[1].Standing, st.Pools[2].Standing)
	}
}

// TestNobodyIsLedBackToWhatIsWorse holds that a pool on its way back takes no clients from
// one that the policy prefers.
func TestNobodyIsLedBackToWhatIsWorse(t *testing.T) {
	for _, policy := range []Policy{Failover, Nearest} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Policy = policy
		p.Clients = new(bart.Table[uint16])
		p.Clients.Insert(netip.MustParsePrefix("100.64.0.0/10"), 0)
		y := begin(p)
		y.then(time.Minute, dead(2, 1))
		y.then(2*time.Minute, up(2))
		st := y.then(7*time.Minute, up(2))
		if got := pools(y.s, nil); st.Pools[1].Share != 10 || got[0] != 1000 || policy == Failover && st.Ramps != 0 {
			t.Errorf("%v: at %d %% clients get %v", policy, st.Pools[1].Share, got)
		}
	}
}

// A pool of which nobody knows anything is not entered while what is in use is well; it is
// where nothing is in use yet, and when what is in use fails.
func TestTheUnprovenIsNotEntered(t *testing.T) {
	unknown := func(views []health.View, i int) []health.View {
		views[i] = health.View{}
		return views
	}
	y := begin(small("aws/a", "gcp/b"))
	if st := y.then(time.Minute, dead(2, 0)); st.From != 0b10 {
		t.Fatalf("from %b", st.From)
	}
	for after := time.Duration(2); after < 30; after++ {
		st := y.then(after*time.Minute, unknown(up(2), 0))
		if ps := st.Pools[0]; st.From != 0b10 || ps.Standing != Held || ps.Why != WhyUnproven || st.Backups != 1 {
			t.Fatalf("%d minutes: from %b, %v %v, %d backups", after, st.From, ps.Standing, ps.Why, st.Backups)
		}
	}
	if st := y.then(31*time.Minute, unknown(dead(2, 1), 0)); st.From != 0b1 {
		t.Errorf("the pool in use is dead: from %b", st.From)
	}
	p := small("aws/a", "gcp/b")
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: unknown(up(2), 0)})
	if s.State(0).From != 0b1 {
		t.Errorf("nothing was in use: from %b", s.State(0).From)
	}
}

// A name with two addresses of which one comes back is as long up as the other one: nothing
// is held, and nothing moves.
func TestOneAddressComesBack(t *testing.T) {
	for _, which := range []int{0, 2} {
		p := small("aws/a", "gcp/b")
		e := &p.Services[0].Pools[0].Endpoints[0]
		e.Target, e.Addrs = "lb.test.", append(e.Addrs, Addr{IP: netip.MustParseAddr("10.0.1.1"), Checks: []int32{2}})
		p.Checks = 3
		y := begin(p)
		y.then(time.Minute, dead(3, which))
		views := up(3)
		views[which] = heldBack(t0.Add(2 * time.Minute))
		if st := y.then(2*time.Minute, views); st.From != 0b1 || st.Pools[0].Ends[0].Standing != Ready {
			t.Errorf("check %d: from %b, %v", which, st.From, st.Pools[0].Ends[0].Why)
		}
	}
}
