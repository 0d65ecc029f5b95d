package steer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"github.com/detour-dns/detour/internal/health"
)

// says is what is explained to a client, so long after the beginning.
func (y *tale) says(after time.Duration, n int) []string {
	return y.s.Explain(Query{Client: client(n)}, t0.Add(after)).Steps
}

// TestExplainWhileAllIsWell holds every step, so that nothing else is said.
func TestExplainWhileAllIsWell(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	want := []string{
		"policy failover over 2 pools; A and AAAA come from the same pool",
		"pool 1 aws/a stands at ready", "  10.0.0.0 ready: up",
		"pool 2 gcp/b stands at ready", "  10.0.0.1 ready: up",
		fmt.Sprintf("answer: pool 1 aws/a, 1 addresses, reason policy, TTL %d", y.s.Decide(Query{Client: client(1)}).TTL),
	}
	if got := y.says(0, 1); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wants looks for a line among the steps.
func wants(t *testing.T, steps []string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !slices.ContainsFunc(steps, func(s string) bool { return strings.HasPrefix(s, line) }) {
			t.Errorf("nothing says %q:\n%s", line, strings.Join(steps, "\n"))
		}
	}
}

// TestExplainAReturn holds what is said of a pool that waits, by time or for people, and of
// a ramp, to clients on either side of it.
func TestExplainAReturn(t *testing.T) {
	for _, manual := range []bool{false, true} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Failback.Manual = manual
		y := begin(p)
		y.then(time.Minute, dead(2, 0))
		y.then(2*time.Minute, up(2))
		if manual {
			wants(t, y.says(2*time.Minute, 1), "pool 1 aws/a stands at held: healthy again, and waits for an operator's failback")
			continue
		}
		wants(t, y.says(2*time.Minute, 1), "pool 1 aws/a stands at held: healthy again, failback begins in 5m0s")
		y.then(7*time.Minute, up(2))
		sides := map[string]int16{"inside": 0, "outside": 1}
		for n := range 200 {
			pool := y.s.Decide(Query{Client: client(n)}).Pool
			for side, from := range sides {
				if from == pool {
					wants(t, y.says(7*time.Minute+time.Second, n), "pool 1 aws/a stands at held: ramp lets in 10 % of the clients, this one is "+side+"; next step in 59s")
				}
			}
		}
	}
}

// TestExplainTheState holds what is said of endpoints, pools and the service in other
// states.
func TestExplainTheState(t *testing.T) {
	old := up(2)
	old[0].Since = t0.Add(-time.Minute)
	confirming := up(2)
	confirming[0].Confirming = true
	for name, c := range map[string]struct {
		edit   func(*Service)
		views  []health.View
		input  func(*Input)
		want   []string
		absent string
	}{
		"up":         {nil, old, by(), []string{"  10.0.0.0 ready: up for 1m5s", "  10.0.0.1 ready: up"}, "its checks"},
		"confirming": {nil, confirming, by(), []string{"  10.0.0.0 ready: up, a change is being confirmed"}, "frozen"},
		"down":       {nil, dead(2, 0), by(), []string{"  10.0.0.0 dark: down (timeout, for 5s)"}, "its checks"},
		"forced down": {
			nil, old, by(Override{Target: "aws/a", Kind: ForceDown, Made: t0}),
			[]string{"  10.0.0.0 dark: forced down for 5s, its checks: up for 1m5s, by the override on aws/a"},
			"void",
		},
		"forced up": {
			nil, dead(2, 0), by(Override{Target: "s.test./10.0.0.0", Kind: ForceUp, Made: t0}),
			[]string{"  10.0.0.0 ready: health ignored for 5s, its checks: down (timeout) for 5s, by the override on s.test/10.0.0.0"},
			"void",
		},
		"drained and hidden": {
			nil, dead(2, 1), by(Override{Target: "aws/a", Kind: Drain}),
			[]string{"only a drained endpoint is healthy: undraining it would end this"},
			"void",
		},
		"a void drain": {
			nil, up(2), by(Override{Target: "s.test.", Kind: Drain}),
			[]string{"the drain of s.test is void: it would leave the service without an endpoint"},
			"only a drained",
		},
		"frozen":  {nil, up(2), frozen, []string{"frozen: the pools in use stay"}, "though"},
		"pending": {nil, dead(2, 0), frozen, []string{"frozen: the pools in use stay, though others would be chosen now"}, "region"},
		"apart":   {func(s *Service) { s.Separate = true }, up(2), by(), []string{"policy failover over 2 pools; A and AAAA choose apart"}, "same pool"},
		"fixed": {
			func(s *Service) {
				s.LastResort = LastResort{ResortAddrs, []netip.Addr{netip.MustParseAddr("10.9.9.9")}}
			},
			dead(2, 0, 1), by(),
			[]string{"answer: 1 addresses, reason panic, TTL "},
			"pool 0",
		},
		"no data": {
			func(s *Service) { s.LastResort.Mode = ResortNoData },
			dead(2, 0, 1), by(),
			[]string{"nothing is healthy and last_resort is nodata: NODATA"},
			"SERVFAIL",
		},
		"refused": {
			func(s *Service) { s.LastResort.Mode = ResortNone },
			dead(2, 0, 1), by(),
			[]string{"nothing is healthy and last_resort is none: SERVFAIL"},
			"answer",
		},
	} {
		p := small("aws/a", "gcp/b")
		if c.edit != nil {
			c.edit(&p.Services[0])
		}
		y := begin(p)
		y.then(0, c.views, c.input)
		got := y.says(5*time.Second, 1)
		t.Run(name, func(t *testing.T) { wants(t, got, c.want...) })
		if all := strings.Join(got, "\n"); strings.Contains(all, c.absent) {
			t.Errorf("%s: %q is said:\n%s", name, c.absent, all)
		}
	}
}

// TestExplainAQuota holds that it is said which part of a pool is healthy, of those that
// may be answered, where that lowers it; and never of one that is as it should be.
func TestExplainAQuota(t *testing.T) {
	p := small("aws/a", "gcp/b")
	pool := &p.Services[0].Pools[0]
	for i := range 4 {
		ip := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		pool.Endpoints = append(pool.Endpoints, Endpoint{Label: ip.String(), Weight: 1, Enabled: i < 3, Addrs: []Addr{{IP: ip, Checks: []int32{int32(2 + i)}}}})
	}
	p.Checks = 6
	y := begin(p)
	const line = "    half a step lower: "
	y.then(0, dead(6, 0, 2, 3))
	wants(t, y.says(0, 1), line+"1 of 4 endpoints have the best standing, min_healthy 50 % wants 2")
	y.then(0, dead(6, 0, 2))
	if all := strings.Join(y.says(0, 1), "\n"); strings.Contains(all, line) {
		t.Errorf("half of a pool is enough:\n%s", all)
	}
}

// TestExplainARegion holds what is said of one that is down, or would be.
func TestExplainARegion(t *testing.T) {
	p := regional(3, 2)
	y := begin(p)
	y.then(time.Minute, failing(p, 3, 1))
	wants(t, y.says(time.Minute, 1), "region aws/a is down: 3 of 3 services are evidence, 1 of 2 canaries fail")
	y.s.Regions[0].Down, y.s.Regions[0].Refused = false, true
	got := y.says(time.Minute, 1)
	wants(t, got, "region aws/a would be down, but the cap on regions out is used up")
	if slices.ContainsFunc(got, func(s string) bool {
		return strings.HasPrefix(s, "region aws/a is down") || strings.HasPrefix(s, "region gcp/b")
	}) {
		t.Errorf("%q", got)
	}
}

// TestExplainNearest holds what is said of where a client is, for this policy only.
func TestExplainNearest(t *testing.T) {
	for _, policy := range []Policy{Nearest, Failover} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Policy = policy
		p.Clients = new(bart.Table[uint16])
		p.Clients.Insert(netip.MustParsePrefix("100.64.0.0/24"), 1)
		y := begin(p)
		at := func(c netip.Addr) Explanation { return y.s.Explain(Query{Client: c}, t0) }
		near, far := at(client(1)), at(client(1000))
		if policy == Failover {
			if near.Home != "" || far.Home != "" || len(near.Steps) != len(far.Steps) || strings.Contains(near.Steps[1], "local") {
				t.Errorf("%+v", near)
			}
			continue
		}
		wants(t, near.Steps, "client 100.64.0.1 is local to gcp/b")
		wants(t, far.Steps, "client 100.64.3.232 is local to no region: the listed order decides")
		if near.Home != "gcp/b" || far.Home != "" {
			t.Errorf("homes %q and %q", near.Home, far.Home)
		}
	}
	p := small("aws/a")
	p.Services[0].Policy = Nearest
	if got := begin(p).says(0, 1); strings.Contains(got[1], "local") {
		t.Errorf("without a table of clients: %q", got)
	}
}

// TestExplainWeighted holds that one address is shown, as is answered, and all of them in
// panic.
func TestExplainWeighted(t *testing.T) {
	for _, policy := range []Policy{Weighted, Failover} {
		p := small("aws/a")
		pool := &p.Services[0].Pools[0]
		second := pool.Endpoints[0]
		second.Label, second.Addrs = "second", []Addr{{IP: netip.MustParseAddr("10.0.1.0"), Checks: []int32{0}}}
		pool.Endpoints = append(pool.Endpoints, second)
		p.Services[0].Policy = policy
		y := begin(p)
		well := len(y.s.Explain(Query{Client: client(1)}, t0).Addrs)
		y.then(time.Minute, dead(1, 0))
		if panics := len(y.s.Explain(Query{Client: client(1)}, t0).Addrs); (well == 1) != (policy == Weighted) || panics != 2 {
			t.Errorf("%v: %d, in panic %d", policy, well, panics)
		}
	}
}
