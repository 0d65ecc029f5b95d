package steer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// regional is a plan of so many services with other monitors each, all of them with an
// endpoint in two regions; the first region has so many canaries. Checks are those of
// the first region's endpoints, of the second's, then of the canaries.
func regional(services, canaries int) *Plan {
	p := small("aws/a", "gcp/b")
	first := p.Services[0]
	p.Services, p.Checks = nil, 2*services+canaries
	for i := range services {
		s := first
		s.Name, s.Monitors, s.Pools = fmt.Sprintf("s%d.test.", i), fmt.Sprint(i), nil
		for r := range 2 {
			ip := netip.AddrFrom4([4]byte{10, byte(r), 0, byte(i)})
			s.Pools = append(s.Pools, Pool{Region: r, Endpoints: []Endpoint{{
				Label: ip.String(), Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(r*services + i)}}},
			}}})
		}
		p.Services = append(p.Services, s)
	}
	for c := range canaries {
		p.Regions[0].Canaries = append(p.Regions[0].Canaries, int32(2*services+c))
	}
	return p
}

// failing is the checks of such a plan of which so many endpoints and canaries of the
// first region time out.
func failing(p *Plan, endpoints, canaries int) []health.View {
	var which []int
	for i := range endpoints {
		which = append(which, i)
	}
	for i := range canaries {
		which = append(which, 2*len(p.Services)+i)
	}
	return dead(p.Checks, which...)
}

// TestRegionVerdicts holds when a region is down: by how many services or canaries, and
// that it takes less for it to stay so than to become so.
func TestRegionVerdicts(t *testing.T) {
	for _, c := range []struct {
		was                                   bool
		services, evidence, canaries, failing int
		want                                  bool
	}{
		{false, 5, 3, 0, 0, true},
		{false, 5, 2, 0, 0, false},
		{false, 1, 1, 0, 0, false},
		{false, 5, 1, 2, 2, true},
		{false, 5, 1, 4, 2, true},
		{false, 5, 1, 5, 2, false},
		{false, 5, 0, 2, 2, false},
		{false, 5, 1, 1, 1, false},
		{true, 10, 4, 0, 0, true},
		{true, 10, 3, 0, 0, false},
		{true, 10, 3, 2, 2, true},
		{true, 10, 3, 2, 1, true},
		{true, 10, 3, 3, 1, false},
		{true, 10, 4, 3, 1, true},
		{true, 2, 1, 0, 0, false},
	} {
		p := regional(c.services, c.canaries)
		y := begin(p)
		if c.was {
			y.then(time.Minute, failing(p, c.services, c.canaries))
		}
		y.then(2*time.Minute, failing(p, c.evidence, c.failing))
		r := y.s.Regions[0]
		if r.Down != c.want || r.Evidence != c.evidence || r.Could != c.services || r.Failing != c.failing || r.Canaries != c.canaries {
			t.Errorf("%+v: %+v", c, r)
		}
	}
}

// TestWhatIsEvidence holds which services count, and which of them say that their region
// is down.
func TestWhatIsEvidence(t *testing.T) {
	gone := health.View{Verdict: health.Down, WasUp: true, Cause: health.CauseTimeout}
	here := gone
	here.Elsewhere = true
	for name, c := range map[string]struct {
		first, second health.View // of its two endpoints in the region
		other         health.View // of that in the other region
		edit          func(*Service)
		hand          Override
		could, is     bool
	}{
		"all down":                 {gone, gone, up(1)[0], nil, Override{}, true, true},
		"one down":                 {gone, up(1)[0], up(1)[0], nil, Override{}, true, false},
		"the other region too":     {gone, gone, gone, nil, Override{}, false, false},
		"the other disabled":       {gone, gone, up(1)[0], func(s *Service) { s.Pools[1].Endpoints[0].Enabled = false }, Override{}, false, false},
		"one never up":             {gone, health.View{}, up(1)[0], nil, Override{}, true, true},
		"none ever up":             {health.View{}, health.View{}, up(1)[0], nil, Override{}, false, false},
		"one disabled":             {gone, gone, up(1)[0], func(s *Service) { s.Pools[0].Endpoints[1].Enabled = false }, Override{}, true, true},
		"one without news":         {gone, stale, up(1)[0], nil, Override{}, true, false},
		"down only from here":      {gone, here, up(1)[0], nil, Override{}, true, false},
		"forced":                   {gone, gone, up(1)[0], nil, Override{Target: "aws/a", Kind: ForceUp}, false, false},
		"another region is forced": {gone, gone, up(1)[0], nil, Override{Target: "gcp/b", Kind: ForceUp}, true, true},
	} {
		p := regional(1, 0)
		pool := &p.Services[0].Pools[0]
		second := pool.Endpoints[0]
		second.Label, second.Addrs = "second", []Addr{{IP: netip.MustParseAddr("10.0.1.0"), Checks: []int32{2}}}
		pool.Endpoints = append(pool.Endpoints, second)
		p.Checks = 3
		if c.edit != nil {
			c.edit(&p.Services[0])
		}
		p.Index()
		in := Input{Plan: p, Now: t0, Checks: []health.View{c.first, c.other, c.second}}
		if c.hand.Target != "" {
			in.Overrides = []Override{c.hand}
		}
		r := Build(in).Regions[0]
		if (r.Could == 1) != c.could || (r.Evidence == 1) != c.is {
			t.Errorf("%s: could %d, is %d", name, r.Could, r.Evidence)
		}
	}
}

// TestCanariesThatFailOnlyFromHere holds that these say nothing of their region.
func TestCanariesThatFailOnlyFromHere(t *testing.T) {
	p := regional(3, 3)
	y := begin(p)
	views := failing(p, 1, 2)
	for i := range views {
		views[i].Elsewhere = i >= 6
	}
	if y.then(time.Minute, views); y.s.Regions[0].Down || y.s.Regions[0].Failing != 0 {
		t.Errorf("%+v", y.s.Regions[0])
	}
}

// TestTheCapCountsRegionsInUse holds that regions without services make the cap no wider.
func TestTheCapCountsRegionsInUse(t *testing.T) {
	for used, want := range map[int]int{3: 1, 5: 2} {
		p := &Plan{Limits: Limits{RegionsOut: 50, MaxAnswers: 8}}
		for r := range 9 {
			p.Regions = append(p.Regions, Region{Name: fmt.Sprintf("aws/r%d", r)})
		}
		var views []health.View
		for i := range 3 {
			s := testService(fmt.Sprintf("s%d.test.", i))
			s.Monitors = fmt.Sprint(i)
			for r := range used {
				ip := netip.AddrFrom4([4]byte{10, byte(r), 0, byte(i)})
				s.Pools = append(s.Pools, Pool{Region: r, Endpoints: []Endpoint{{
					Label: ip.String(), Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(len(views))}}},
				}}})
				v := dead(1, 0)[0]
				if r == used-1 {
					v = up(1)[0]
				}
				views = append(views, v)
			}
			p.Services = append(p.Services, s)
		}
		p.Checks = len(views)
		p.Index()
		out := 0
		for _, r := range Build(Input{Plan: p, Now: t0, Checks: views}).Regions {
			if r.Down {
				out++
			}
		}
		if out != want {
			t.Errorf("%d of %d regions in use are out, want %d", out, used, want)
		}
	}
}

// TestFailbacksAreNumbered holds that each return of a region has a number of its own: all
// pools that return while one does share it.
func TestFailbacksAreNumbered(t *testing.T) {
	p := regional(2, 0)
	y := begin(p)
	for i, c := range []struct {
		views []health.View
		want  uint32
	}{
		{up(4), 0},
		{failing(p, 1, 0), 0},
		{failing(p, 0, 0), 1},
		{dead(4, 1), 1},
		{up(4), 1},
		{dead(4, 0, 1), 1},
		{up(4), 2},
		{up(4), 2},
	} {
		if y.then(time.Duration(i+1)*time.Second, c.views); y.s.Regions[0].Number != c.want || y.s.Regions[1].Number != 0 {
			t.Errorf("step %d: numbers %d and %d, want %d and 0", i, y.s.Regions[0].Number, y.s.Regions[1].Number, c.want)
		}
	}
}
