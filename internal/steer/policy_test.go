package steer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"github.com/detour-dns/detour/internal/health"
)

// small is a plan of one service with a pool of one endpoint in each region; its
// checks are numbered like the pools.
func small(regions ...string) *Plan {
	p := &Plan{Limits: Limits{RegionsOut: 50, MaxAnswers: 8}}
	s := testService("s.test.")
	for r, name := range regions {
		p.Regions = append(p.Regions, Region{Name: name})
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(r)})
		s.Pools = append(s.Pools, Pool{Region: r, MinHealthy: 50, Endpoints: []Endpoint{{
			Label: ip.String(), Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(r)}}},
		}}})
	}
	p.Services, p.Checks = []Service{s}, len(regions)
	return p
}

func up(n int) []health.View {
	out := make([]health.View, n)
	for i := range out {
		out[i] = health.View{Verdict: health.Up, WasUp: true}
	}
	return out
}

func down(v []health.View, c health.Cause, checks ...int) []health.View {
	v = slices.Clone(v)
	for _, i := range checks {
		v[i] = health.View{Verdict: health.Down, WasUp: true, Cause: c, Since: t0}
	}
	return v
}

// client is the n-th of many.
func client(n int) netip.Addr { return netip.AddrFrom4([4]byte{100, 64, byte(n >> 8), byte(n)}) }

// pools counts, for a thousand clients, which pool their answer came from.
func pools(s *Snapshot, edit func(*Query)) map[int16]int {
	out := map[int16]int{}
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 1000 {
		q := Query{Client: client(n), Seed: r.Uint64()}
		if edit != nil {
			edit(&q)
		}
		out[s.Decide(q).Pool]++
	}
	return out
}

func about(t *testing.T, got map[int16]int, want ...int) {
	t.Helper()
	for p, w := range want {
		if g := got[int16(p)]; g < w-60 || g > w+60 || w == 0 && g > 0 {
			t.Errorf("pool %d got %d of 1000 clients, want about %d", p, g, w)
		}
	}
}

func TestWeighted(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	s := &p.Services[0]
	s.Policy = Weighted
	s.Pools[0].Weight, s.Pools[1].Endpoints[0].Weight = 7, 2
	p.Index()
	snap := Build(Input{Plan: p, Now: t0, Checks: up(3)})
	about(t, pools(snap, nil), 700, 200, 100)
	snap = Build(Input{Plan: p, Now: t0, Checks: down(up(3), health.CauseTimeout, 0)})
	about(t, pools(snap, nil), 0, 667, 333)
}

func TestWeightedClientsMoveByTheMinuteUnlessSticky(t *testing.T) {
	for _, sticky := range []bool{false, true} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Policy, p.Services[0].Sticky = Weighted, sticky
		p.Index()
		snap := Build(Input{Plan: p, Now: t0, Checks: up(2)})
		moved := 0
		for n := range 1000 {
			a := snap.Decide(Query{Client: client(n), Minute: 1, Seed: 1})
			if again := snap.Decide(Query{Client: client(n), Minute: 1, Seed: 2}); again.Pool != a.Pool {
				t.Fatal("within a minute a client's pool changed: A and AAAA would differ")
			}
			if b := snap.Decide(Query{Client: client(n), Minute: 2, Seed: 1}); a.Pool != b.Pool {
				moved++
			}
		}
		if sticky != (moved == 0) || !sticky && (moved < 400 || moved > 600) {
			t.Errorf("sticky %v: %d of 1000 clients moved", sticky, moved)
		}
	}
}

func TestNearest(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	p.Services[0].Policy = Nearest
	p.Regions[1].Near = []int{2}
	p.Clients = new(bart.Table[uint16])
	p.Clients.Insert(netip.MustParsePrefix("100.64.0.0/10"), 2)
	p.Clients.Insert(netip.MustParsePrefix("100.64.1.0/24"), 1)
	p.Index()
	at := func(s *Snapshot, ip string) int16 { return s.Decide(Query{Client: netip.MustParseAddr(ip)}).Pool }
	snap := Build(Input{Plan: p, Now: t0, Checks: up(3)})
	for ip, want := range map[string]int16{"100.64.0.1": 2, "100.64.1.1": 1, "192.0.2.1": 0, "2001:db8::1": 0} {
		if got := at(snap, ip); got != want {
			t.Errorf("%s gets pool %d, want %d", ip, got, want)
		}
	}
	snap = Build(Input{Plan: p, Now: t0, Checks: down(up(3), health.CauseTimeout, 1)})
	if got := at(snap, "100.64.1.1"); got != 2 {
		t.Errorf("home is dark: pool %d, want the region near it", got)
	}
}

func TestLastResorts(t *testing.T) {
	dark := down(up(3), health.CauseTimeout, 0, 1, 2)
	for name, c := range map[string]struct {
		resort LastResort
		want   string
	}{
		"order":     {LastResort{}, "10.0.0.0"},
		"all":       {LastResort{Mode: ResortAll}, "10.0.0.0 10.0.0.1 10.0.0.2"},
		"addresses": {LastResort{Mode: ResortAddrs, Addrs: []netip.Addr{netip.MustParseAddr("10.9.9.9")}}, "10.9.9.9"},
		"none":      {LastResort{Mode: ResortNone}, "SERVFAIL"},
		"nodata":    {LastResort{Mode: ResortNoData}, "NODATA"},
	} {
		p := small("aws/a", "gcp/b", "azure/c")
		p.Services[0].LastResort = c.resort
		p.Index()
		if got := answer(Build(Input{Plan: p, Now: t0, Checks: dark})); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := answer(Build(Input{Plan: p, Now: t0, Checks: down(dark, health.CauseStatus, 2)})); name == "order" && got != "10.0.0.2" {
			t.Errorf("sick comes before dark: %s", got)
		}
		if got := answer(Build(Input{Plan: p, Now: t0, Checks: down(up(3), health.CauseTimeout, 0)})); got != "10.0.0.1" {
			t.Errorf("%s acts although a pool is ready: %s", name, got)
		}
	}
}

// answer is the sorted addresses of one answer.
func answer(s *Snapshot) string {
	d := s.Decide(Query{Client: client(1), Seed: 3})
	if d.NoData {
		return "NODATA"
	}
	if d.Refuse {
		return "SERVFAIL"
	}
	var out [MaxAnswers]netip.Addr
	var words []string
	for _, a := range sorted(out[:d.Addrs(out[:])]) {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

func TestMinHealthyLowersByHalfAStep(t *testing.T) {
	p := small("aws/a", "gcp/b")
	pool := &p.Services[0].Pools[0]
	for i := range 3 {
		ip := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		pool.Endpoints = append(pool.Endpoints, Endpoint{Label: ip.String(), Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(2 + i)}}}})
	}
	p.Checks = 5
	p.Index()
	two := Build(Input{Plan: p, Now: t0, Checks: down(up(5), health.CauseTimeout, 0, 2)})
	if got := answer(two); got != "10.0.1.1 10.0.1.2" {
		t.Errorf("half of the pool is ready: %s, want its ready half", got)
	}
	one := Build(Input{Plan: p, Now: t0, Checks: down(up(5), health.CauseTimeout, 0, 2, 3)})
	if got := answer(one); got != "10.0.0.1" || one.State(0).Pools[0].Standing.String() != "ready-" {
		t.Errorf("a quarter of the pool is ready: %s, standing %v; want the other pool", got, one.State(0).Pools[0].Standing)
	}
	alone := Build(Input{Plan: p, Now: t0, Checks: down(up(5), health.CauseTimeout, 0, 1, 2, 3)})
	if got := answer(alone); got != "10.0.1.2" {
		t.Errorf("nothing better is left: %s, want the ready quarter", got)
	}
}

func TestObserveOnlyWatches(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Observe = true
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: down(up(2), health.CauseTimeout, 0)})
	st := s.State(0)
	if answer(s) != "10.0.0.0" || st.Reason != ReasonObserve || st.Would != 0b10 {
		t.Errorf("answers %s, reason %v, would use pools %b; want the first pool, observe, the second", answer(s), st.Reason, st.Would)
	}
}

func TestRampLetsTheSameClientsInFirst(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services = append(p.Services, p.Services[0])
	p.Services[1].Name = "t.test."
	p.Index()
	views := up(2)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	fail := func(at time.Duration) {
		s = Build(Input{Plan: p, Now: t0.Add(at), Checks: down(views, health.CauseTimeout, 0), Prev: s, All: true})
		s = Build(Input{Plan: p, Now: t0.Add(at + time.Minute), Checks: views, Prev: s, All: true})
	}
	fail(0)
	inside := func(service int32) (out []int) {
		for n := range 1000 {
			if s.Decide(Query{Service: service, Client: client(n)}).Pool == 0 {
				out = append(out, n)
			}
		}
		return out
	}
	var before []int
	for step, want := range []int{100, 250, 500, 1000} {
		s = Build(Input{Plan: p, Now: t0.Add(6*time.Minute + time.Duration(step)*time.Minute), Checks: views, Prev: s, All: true})
		now := inside(0)
		if len(now) < want-60 || len(now) > want+60 {
			t.Errorf("step %d lets in %d of 1000, want about %d", step, len(now), want)
		}
		for _, n := range before {
			if !slices.Contains(now, n) {
				t.Fatalf("step %d turns client %d out again", step, n)
			}
		}
		if !slices.Equal(now, inside(1)) {
			t.Errorf("step %d: the two services of a region let in different clients", step)
		}
		if step == 0 {
			before = now
		}
	}
	first := before
	fail(30 * time.Minute)
	s = Build(Input{Plan: p, Now: t0.Add(36*time.Minute + 30*time.Second), Checks: views, Prev: s, All: true})
	if second := inside(0); len(second) < 40 || len(second) > 160 || slices.Equal(first, second) {
		t.Errorf("the second failback lets in the same %d clients first", len(second))
	}
}

func TestAnswersFollowWeights(t *testing.T) {
	p := small("aws/a")
	pool := &p.Services[0].Pools[0]
	pool.Endpoints[0].Weight = 3
	ip := netip.AddrFrom4([4]byte{10, 0, 1, 0})
	pool.Endpoints = append(pool.Endpoints, Endpoint{Label: "b", Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{0}}}})
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(1)})
	heavy := 0
	r := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		d := s.Decide(Query{Client: client(1), Seed: r.Uint64()})
		var out [MaxAnswers]netip.Addr
		if n := d.Addrs(out[:]); n != 2 || out[0] == out[1] {
			t.Fatalf("%d addresses, %v", n, out[:n])
		}
		if out[0] != ip {
			heavy++
		}
	}
	if heavy < 1400 || heavy > 1600 {
		t.Errorf("the endpoint of weight 3 came first in %d of 2000 answers, want about 1500", heavy)
	}
}

func TestTTLHasARandomPart(t *testing.T) {
	p := small("aws/a")
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(1)})
	seen := map[uint32]bool{}
	for seed := range uint64(500) {
		seen[s.Decide(Query{Seed: seed}).TTL] = true
	}
	if len(seen) != 7 || seen[23] || seen[31] {
		t.Errorf("TTLs %v, want each of 24 to 30", seen)
	}
}

func TestCapKeepsRegionsIn(t *testing.T) {
	p := &Plan{Limits: Limits{RegionsOut: 50, MaxAnswers: 8}}
	for _, r := range []string{"aws/a", "gcp/b", "azure/c"} {
		p.Regions = append(p.Regions, Region{Name: r})
	}
	var views []health.View
	for i := range 4 { // each service is up only in c; a has more evidence than b
		s := testService(fmt.Sprintf("s%d.test.", i))
		s.Monitors = fmt.Sprint(i % 2)
		for r := range 3 {
			if r == 1 && i == 3 {
				continue
			}
			ip := netip.AddrFrom4([4]byte{10, byte(r), 0, byte(i)})
			s.Pools = append(s.Pools, Pool{Region: r, Endpoints: []Endpoint{{Label: ip.String(), Weight: 1, Enabled: true, Addrs: []Addr{{IP: ip, Checks: []int32{int32(len(views))}}}}}})
			v := health.View{Verdict: health.Up, WasUp: true}
			if r < 2 {
				v = health.View{Verdict: health.Down, WasUp: true, Cause: health.CauseTimeout}
			}
			views = append(views, v)
		}
		p.Services = append(p.Services, s)
	}
	p.Checks = len(views)
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	if a, b := s.Regions[0], s.Regions[1]; !a.Down || b.Down || !b.Refused {
		t.Errorf("a: %+v\nb: %+v\nwant a down, and b held back by the cap", a, b)
	}
}

func TestExplainSaysWhatIsDecided(t *testing.T) {
	for seed := range uint64(200) {
		c := chance{rand.New(rand.NewPCG(seed, 3))}
		p := c.plan()
		s := Build(Input{Plan: p, Now: t0, Checks: c.views(p), Overrides: c.hands(p)})
		for i := range p.Services {
			q := Query{Service: int32(i), Client: client(int(seed)), Seed: seed}
			x, d := s.Explain(q, t0), s.Decide(q)
			if x.Decision != d || len(x.Steps) < 2 {
				t.Fatalf("seed %d: explained %+v, decided %+v", seed, x.Decision, d)
			}
			if last := x.Steps[len(x.Steps)-1]; len(x.Addrs) > 0 && !strings.HasPrefix(last, "answer:") {
				t.Errorf("seed %d ends with %q", seed, last)
			}
		}
	}
}

func TestDrainIsNeverAnsweredAndTheYoungestYields(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Index()
	older := Override{Target: "aws/a", Kind: Drain, Made: t0}
	younger := Override{Target: "gcp/b", Kind: Drain, Made: t0.Add(time.Second)}
	s := Build(Input{Plan: p, Now: t0, Checks: up(2), Overrides: []Override{younger, older}})
	if st := s.State(0); answer(s) != "10.0.0.1" || len(st.Void) != 1 || st.Void[0].Target != "gcp/b" {
		t.Errorf("answers %s, void %+v; want the younger drain void", answer(s), st.Void)
	}
	s = Build(Input{Plan: p, Now: t0, Checks: down(up(2), health.CauseTimeout, 1), Overrides: []Override{older}})
	if answer(s) != "10.0.0.1" || !s.State(0).DrainHid {
		t.Errorf("answers %s, hidden %v; a drain is never undone by failures, only shown", answer(s), s.State(0).DrainHid)
	}
}

// TestNoAddressIsNoAnswer: a service whose names were never resolved has nothing to
// say. An empty answer would be cached, and be a lie.
func TestNoAddressIsNoAnswer(t *testing.T) {
	p := small("aws/a", "gcp/b")
	for i := range p.Services[0].Pools {
		e := &p.Services[0].Pools[i].Endpoints[0]
		e.Addrs, e.Target, e.Unresolved = nil, "lb.test.", i == 0
	}
	p.Index()
	if got := answer(Build(Input{Plan: p, Now: t0, Checks: up(2)})); got != "SERVFAIL" {
		t.Errorf("answers %q, want SERVFAIL", got)
	}
}

func TestBackupsAreWhatWouldBeLeft(t *testing.T) {
	for _, policy := range []Policy{Failover, Weighted, Nearest, All} {
		p := small("aws/a", "gcp/b", "azure/c")
		p.Services[0].Policy = policy
		p.Index()
		for dark, want := range []int{2, 1, 0, 0} {
			var which []int
			for i := range dark {
				which = append(which, i)
			}
			s := Build(Input{Plan: p, Now: t0, Checks: down(up(3), health.CauseTimeout, which...)})
			if got := s.State(0).Backups; got != want {
				t.Errorf("%v with %d of 3 regions dark: %d backups, want %d", policy, dark, got, want)
			}
		}
	}
}
