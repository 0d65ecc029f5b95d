package steer

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// edited builds the tale's plan anew after an edit, as if it came with another plan.
func (y *tale) edited(after time.Duration, p *Plan, edits ...func(*Input)) *ServiceState {
	p.Index()
	in := Input{Plan: p, Now: t0.Add(after), Checks: up(p.Checks), Prev: y.s}
	for _, edit := range edits {
		edit(&in)
	}
	y.s = Build(in)
	return y.s.State(0)
}

// TestAnEditKeepsWhatIsInUse holds that a service which is frozen where it is stays there
// when its pools are listed in another order.
func TestAnEditKeepsWhatIsInUse(t *testing.T) {
	y := begin(small("aws/a", "gcp/b", "azure/c"))
	y.then(time.Minute, dead(3, 0))
	y.then(2*time.Minute, dead(3, 0), frozen)
	p := small("aws/a", "gcp/b", "azure/c")
	slices.Reverse(p.Services[0].Pools)
	st := y.edited(3*time.Minute, p, frozen)
	if got := y.s.Used(0); !slices.Equal(got, []string{"gcp/b"}) || st.From != 0b10 || !st.Memory.Pools[2].Out || st.Memory.Since != t0.Add(time.Minute) {
		t.Errorf("in use %q, from %b, %+v", got, st.From, st.Memory)
	}
}

// TestAnEditKeepsWhatIsRememberedOfEndpoints holds that it is found by label, whatever
// order they are in and whichever others came or went.
func TestAnEditKeepsWhatIsRememberedOfEndpoints(t *testing.T) {
	with := func(labels ...string) *Plan {
		p := small("aws/a", "gcp/b")
		pool := &p.Services[0].Pools[0]
		pool.Endpoints = nil
		for i, l := range labels {
			ip := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
			pool.Endpoints = append(pool.Endpoints, Endpoint{Label: l, Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(2 + i)}}}})
		}
		p.Checks = 2 + len(labels)
		return p
	}
	for _, labels := range [][]string{{"x", "y"}, {"y", "x"}, {"y"}, {"z", "y"}, {"z", "x", "y"}, {"x", "z"}} {
		y := begin(with("x", "y"))
		y.then(time.Minute, up(4), by(Override{Target: "s.test./y", Kind: Drain}))
		y.then(2*time.Minute, up(4))
		st := y.edited(2*time.Minute+time.Second, with(labels...))
		for e, l := range labels {
			want := Ready
			if l == "y" { // released a second ago
				want = Held
			}
			if got := st.Pools[0].Ends[e].Standing; got != want {
				t.Errorf("%q: %s stands at %v, want %v", labels, l, got, want)
			}
		}
	}
}

// TestAnEditKeepsRegionVerdicts holds that they are found by name, with their age.
func TestAnEditKeepsRegionVerdicts(t *testing.T) {
	p := regional(3, 0)
	y := begin(p)
	y.then(time.Minute, failing(p, 3, 0))
	views := y.s
	next := regional(3, 0)
	slices.Reverse(next.Regions)
	for i := range next.Services {
		for r := range next.Services[i].Pools {
			next.Services[i].Pools[r].Region = 1 - r
		}
	}
	y.edited(2*time.Minute, next, func(in *Input) { in.Checks = failing(p, 3, 0) })
	if r := y.s.Regions; !r[1].Down || r[1].Since != t0.Add(time.Minute) || r[0].Down || !r[0].Since.IsZero() || !views.Regions[0].Down {
		t.Errorf("%+v", r)
	}
}

// TestMemoryFromBeforeRegionsWereNoted holds that it goes by position where there are as
// many pools as then, and is forgotten where there are not.
func TestMemoryFromBeforeRegionsWereNoted(t *testing.T) {
	for pools, want := range map[int]uint64{2: 0b10, 3: 0b1} {
		p := small([]string{"aws/a", "gcp/b", "azure/c"}[:pools]...)
		p.Services[0].Failback.Manual = true
		p.Index()
		old := Memory{Used: 0b10, Pools: []PoolMemory{{Out: true, Ends: make([]EndpointMemory, 1)}, {Ends: make([]EndpointMemory, 7)}}}
		s := Build(Input{Plan: p, Now: t0, Checks: up(pools), Kept: map[string]Memory{"s.test.": old}})
		if got := s.State(0).From; got != want {
			t.Errorf("%d pools: from %b, want %b", pools, got, want)
		}
	}
}

// TestNamesThatAreLookedUpAnew holds that a service stays where it was while no address of
// it is known, as after an edit, and that one which observes is where it would be if all
// were healthy.
func TestNamesThatAreLookedUpAnew(t *testing.T) {
	for observe, want := range map[bool]uint64{false: 0b10, true: 0b1} {
		make2 := func() *Plan {
			p := small("aws/a", "gcp/b")
			p.Services[0].Failback.Manual, p.Services[0].Observe = true, observe
			return p
		}
		y := begin(make2())
		y.then(time.Minute, dead(2, 0))
		p := make2()
		for i := range p.Services[0].Pools {
			e := &p.Services[0].Pools[i].Endpoints[0]
			e.Addrs, e.Unresolved = nil, true
		}
		y.edited(2*time.Minute, p)
		if got := y.s.Answered(0); got != want {
			t.Errorf("observe %v: answered from %b, want %b", observe, got, want)
		}
	}
}
