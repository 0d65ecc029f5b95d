package steer

import (
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// remembered is a memory in which nothing is zero.
func remembered() *Memory {
	return &Memory{
		Used: 0b10, Since: t0, Frozen: true, Regions: []string{"aws/a", "gcp/b"},
		Pools: []PoolMemory{
			{Out: true, Returned: t0, Asked: t0.Add(1), Onto: t0.Add(2), Ejected: health.Ejections{t0}, Ends: []EndpointMemory{{Forced: true}}},
			{},
		},
	}
}

// TestWhatMemoriesDifferIn holds which differences are written to disk, and which of them
// are told to other resolvers.
func TestWhatMemoriesDifferIn(t *testing.T) {
	for name, c := range map[string]struct {
		edit           func(*Memory)
		equals, stands bool
	}{
		"nothing":    {func(*Memory) {}, true, true},
		"use":        {func(m *Memory) { m.Used = 0b1 }, false, false},
		"since":      {func(m *Memory) { m.Since = t0.Add(1) }, false, true},
		"freeze":     {func(m *Memory) { m.Frozen = false }, false, true},
		"regions":    {func(m *Memory) { m.Regions = []string{"aws/a", "azure/c"} }, true, false},
		"pools":      {func(m *Memory) { m.Pools = m.Pools[:1] }, false, false},
		"out":        {func(m *Memory) { m.Pools[0].Out = false }, false, false},
		"returning":  {func(m *Memory) { m.Pools[0].Returned = zero }, false, false},
		"return":     {func(m *Memory) { m.Pools[0].Returned = t0.Add(1) }, false, true},
		"asked":      {func(m *Memory) { m.Pools[0].Asked = zero }, false, false},
		"moved onto": {func(m *Memory) { m.Pools[0].Onto = zero }, false, true},
		"ejections":  {func(m *Memory) { m.Pools[0].Ejected = nil }, false, true},
		"endpoints":  {func(m *Memory) { m.Pools[0].Ends[0].Forced = false }, false, true},
	} {
		m, o := remembered(), remembered().Clone()
		c.edit(&o)
		if m.Equal(&o) != c.equals || o.Equal(m) != c.equals {
			t.Errorf("%s: equal %v, want %v", name, m.Equal(&o), c.equals)
		}
		if m.Stands(&o) != c.stands || o.Stands(m) != c.stands {
			t.Errorf("%s: stands alike %v, want %v", name, m.Stands(&o), c.stands)
		}
	}
}

// ask has an operator ask for the failback of the first pool.
func (y *tale) ask(after time.Duration, atOnce bool) {
	st := y.s.State(0)
	m := st.Memory.Clone()
	m.Pools[0].Ask(t0.Add(after), st.Pools[0].Ends, atOnce)
	y.s = y.s.WithMemories(map[string]Memory{"s.test.": m})
}

// TestAskingForAFailback holds that a manual failback begins when an operator asks for it,
// by the ramp or at once; and that it must be asked for anew after the next ejection.
func TestAskingForAFailback(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Failback.Manual = true
		y := begin(p)
		y.then(time.Minute, dead(2, 0))
		if st := y.then(time.Hour, up(2)); st.From != 0b10 || st.Pools[0].Share != 0 || !st.Pools[0].Until.IsZero() {
			t.Errorf("before anybody asks: from %b, %d %% until %v", st.From, st.Pools[0].Share, st.Pools[0].Until)
		}
		y.ask(2*time.Hour, atOnce)
		want := 10
		if atOnce {
			want = 100
		}
		if st := y.then(2*time.Hour, up(2)); st.Pools[0].Share != want || (st.From == 0b1) != atOnce {
			t.Errorf("at once %v: %d %%, from %b", atOnce, st.Pools[0].Share, st.From)
		}
		y.then(2*time.Hour+time.Minute, dead(2, 0))
		if st := y.then(4*time.Hour, up(2)); st.From != 0b10 || st.Pools[0].Share != 0 {
			t.Errorf("it failed since: from %b, %d %%", st.From, st.Pools[0].Share)
		}
	}
}

// TestAskingEndsTheWait holds that who asks waits for no hold-down, and that other reasons
// to wait stay.
func TestAskingEndsTheWait(t *testing.T) {
	ends := []EndpointState{{Why: WhyHoldDown, Until: t0.Add(1), View: health.View{Ejected: health.Ejections{t0}}}, {Why: WhyReleased, Until: t0.Add(2)}}
	m := PoolMemory{Out: true, Returned: t0, Ends: []EndpointMemory{{}, {Released: t0}}}
	m.Ask(t0, ends, false)
	if want := []EndpointMemory{{Served: t0}, {}}; !slices.Equal(m.Ends, want) || !m.Out || m.Asked != t0 {
		t.Errorf("%+v", m)
	}
}

// TestHoldDown holds that an endpoint that was ejected must be Up for as long as that
// costs, as must one whose override ended, and that any other may be used at once.
func TestHoldDown(t *testing.T) {
	at := t0.Add(time.Minute)
	s := testService("s.test.")
	for name, c := range map[string]struct {
		view     health.View
		released time.Time
		until    time.Time
		why      Why
	}{
		"never ejected":           {health.View{Verdict: health.Up, Since: at}, zero, zero, WhyHoldDown},
		"ejected":                 {heldBack(at), zero, at.Add(30 * time.Second), WhyHoldDown},
		"ejected long ago":        {health.View{Since: at, Ejected: health.Ejections{at.Add(-time.Hour)}}, zero, zero, WhyHoldDown},
		"released":                {health.View{Since: at}, at, at.Add(30 * time.Second), WhyReleased},
		"released after ejection": {heldBack(at), at.Add(time.Second), at.Add(31 * time.Second), WhyReleased},
		"ejected after release":   {heldBack(at), at.Add(-time.Second), at.Add(30 * time.Second), WhyHoldDown},
	} {
		until, why := s.heldUntil(c.view, &EndpointMemory{Released: c.released})
		if !until.Equal(c.until) || why != c.why {
			t.Errorf("%s: %v until %v, want %v until %v", name, why, until, c.why, c.until)
		}
	}
}

// An endpoint with two checks is held at each flap of one, whatever the other one has behind
// it.
func TestTwoChecksAreHeld(t *testing.T) {
	p := small("aws/a")
	pool := &p.Services[0].Pools[0]
	pool.Endpoints[0].Addrs[0].Checks = []int32{0, 1}
	other := small("aws/a", "gcp/b").Services[0].Pools[1].Endpoints[0]
	other.Addrs[0].Checks = []int32{2}
	pool.Endpoints = append(pool.Endpoints, other)
	p.Services[0].HoldDown = HoldDown{Step: 30 * time.Second, Max: 15 * time.Minute, Window: 30 * time.Minute}
	p.Checks = 3
	p.Index()
	v := up(3)
	for i := range v {
		v[i].Since = t0.Add(-9 * time.Minute)
	}
	v[0].Ejected = health.Ejections{t0.Add(-12 * time.Minute), t0.Add(-11 * time.Minute), t0.Add(-10 * time.Minute)}
	s := Build(Input{Plan: p, Now: t0, Checks: v})
	at := t0
	for flap := range 3 {
		at = at.Add(10 * time.Second)
		v[1].Verdict, v[1].Since, v[1].Cause, v[1].Ejected = health.Down, at, health.CauseTimeout, v[1].Ejected.Add(at)
		s = Build(Input{Plan: p, Now: at, Checks: v, Prev: s, All: true})
		at = at.Add(5 * time.Second)
		v[1].Verdict, v[1].Since = health.Up, at
		s = Build(Input{Plan: p, Now: at, Checks: v, Prev: s, All: true})
		if es := s.State(0).Pools[0].Ends[0]; es.Standing != Held {
			t.Errorf("flap %d: %v %v", flap+1, es.Standing, es.Why)
		}
	}
}
