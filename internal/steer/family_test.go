package steer

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/detour-dns/detour/internal/health"
)

// TestAFamilyThatNobodyHasIsNoPanic: where A and AAAA choose apart, a service
// without IPv6 says so, whatever its last resort is.
func TestAFamilyThatNobodyHasIsNoPanic(t *testing.T) {
	for _, mode := range []ResortMode{ResortOrder, ResortAll, ResortNone, ResortAddrs} {
		p := small("aws/a", "gcp/b")
		p.Services[0].Separate, p.Services[0].LastResort.Mode = true, mode
		p.Index()
		s := Build(Input{Plan: p, Now: t0, Checks: up(2)})
		if d := s.Decide(Query{Client: client(1), V6: true}); d.Refuse || d.Panic || d.Has() || d.TTL == 0 {
			t.Errorf("last resort %d: AAAA refused %v, panic %v, has %v, TTL %d; want NODATA", mode, d.Refuse, d.Panic, d.Has(), d.TTL)
		}
	}
}

// TestWeightedAgreesForCrowds: the pool follows the client also where shares are
// drawn per answer, so that A, AAAA and hints agree and sticky means what it says.
func TestWeightedAgreesForCrowds(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	p.Services[0].Policy, p.Services[0].Sticky = Weighted, true
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(3)})
	r := rand.New(rand.NewPCG(5, 5))
	for n := range 100 {
		a := s.Decide(Query{Client: client(n), Seed: r.Uint64(), Spread: true})
		b := s.Decide(Query{Client: client(n), Seed: r.Uint64(), Spread: true, V6: true, Minute: 9})
		if a.Pool != b.Pool {
			t.Fatalf("client %d gets A from pool %d and AAAA from pool %d", n, a.Pool, b.Pool)
		}
	}
}

// TestObserveLeavesOutWhatANameNoLongerHas: to watch must not bring back addresses
// that DNS itself gave up.
func TestObserveLeavesOutWhatANameNoLongerHas(t *testing.T) {
	p := small("aws/a")
	e := &p.Services[0].Pools[0].Endpoints[0]
	e.Target, p.Services[0].Observe = "lb.test.", true
	e.Addrs = append(e.Addrs, Addr{IP: netip.MustParseAddr("10.9.9.9"), Checks: []int32{0}, Old: true})
	p.Index()
	for _, v := range [][]health.View{up(1), down(up(1), health.CauseTimeout, 0)} {
		if got := answer(Build(Input{Plan: p, Now: t0, Checks: v})); got != "10.0.0.0" {
			t.Errorf("answers %s, want what the name holds now", got)
		}
	}
}

// TestTargetsFollowWeights: of several names it is the weight that chooses, not
// how many addresses each has.
func TestTargetsFollowWeights(t *testing.T) {
	p := small("aws/a")
	pool := &p.Services[0].Pools[0]
	pool.Endpoints[0].Target, pool.Endpoints[0].Weight = "heavy.test.", 9
	light := Endpoint{Label: "light.test", Target: "light.test.", Weight: 1, Enabled: true}
	for i := range byte(6) {
		light.Addrs = append(light.Addrs, Addr{IP: netip.AddrFrom4([4]byte{10, 0, 1, i}), Checks: []int32{0}})
	}
	pool.Endpoints = append(pool.Endpoints, light)
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(1)})
	r, heavy := rand.New(rand.NewPCG(7, 7)), 0
	for range 1000 {
		d := s.Decide(Query{Client: client(1), Seed: r.Uint64()})
		if name, ok := d.Target(p, 0); ok && name == "heavy.test." {
			heavy++
		}
	}
	if heavy < 850 || heavy > 950 {
		t.Errorf("the name of weight 9 was chosen in %d of 1000 answers, want about 900", heavy)
	}
}
