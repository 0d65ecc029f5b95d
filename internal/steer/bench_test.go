package steer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// bigPlan has n services over three regions, two addresses in each, one check an
// address.
func bigPlan(n int) (*Plan, []health.View) {
	p := &Plan{Limits: Limits{RegionsOut: 50, MaxAnswers: 8}}
	for _, r := range []string{"aws/us-east-1", "gcp/europe-west1", "azure/westeurope"} {
		p.Regions = append(p.Regions, Region{Name: r})
	}
	for i := range n {
		s := testService(fmt.Sprintf("s%05d.example.org.", i))
		for r := range p.Regions {
			pool := Pool{Region: r, MinHealthy: 50}
			for e := range 2 {
				var ip [4]byte
				binary.BigEndian.PutUint32(ip[:], 0x0a000000+uint32(p.Checks))
				pool.Endpoints = append(pool.Endpoints, Endpoint{
					Label: fmt.Sprint(e), Weight: 1, Enabled: true,
					Addrs: []Addr{{IP: netip.AddrFrom4(ip), Checks: []int32{int32(p.Checks)}}},
				})
				p.Checks++
			}
			s.Pools = append(s.Pools, pool)
		}
		p.Services = append(p.Services, s)
	}
	p.Index()
	views := make([]health.View, p.Checks)
	for i := range views {
		views[i] = health.View{Verdict: health.Up, WasUp: true, Since: t0}
	}
	return p, views
}

var t0 = time.Date(2025, 10, 20, 6, 48, 0, 0, time.UTC)

// testService is a service with the built-in values and no pools.
func testService(name string) Service {
	return Service{
		Name: name, Monitors: "web", Settled: 30 * time.Second, Changing: 5 * time.Second,
		HoldDown: HoldDown{30 * time.Second, 15 * time.Minute, 30 * time.Minute},
		Failback: Failback{After: 5 * time.Minute, Max: 30 * time.Minute, Ramp: []int{10, 25, 50, 100}, Step: time.Minute},
	}
}

func BenchmarkDecideByIndex(b *testing.B) {
	p, views := bigPlan(10_000)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	c := netip.MustParseAddr("10.1.2.3")
	b.ReportAllocs()
	var sum int
	for i := 0; b.Loop(); i++ {
		d := s.Decide(Query{Service: int32(i * 7919 % 10_000), Client: c, Seed: uint64(i)})
		sum += int(d.TTL)
	}
	_ = sum
}

func BenchmarkNameToDecision(b *testing.B) {
	p, views := bigPlan(10_000)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	c := netip.MustParseAddr("10.1.2.3")
	names := make([][]byte, 10_000)
	for i := range names {
		names[i] = []byte(fmt.Sprintf("s%05d.example.org.", (i*7919)%10_000))
	}
	b.ReportAllocs()
	var sum int
	for i := 0; b.Loop(); i++ {
		idx, _, _ := p.Lookup(names[i%len(names)])
		d := s.Decide(Query{Service: idx, Client: c, Seed: uint64(i)})
		sum += int(d.TTL)
	}
	_ = sum
}

func BenchmarkBuildIncremental(b *testing.B) {
	p, views := bigPlan(10_000)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := i % len(views)
		views[at].Confirming = !views[at].Confirming
		s = Build(Input{Plan: p, Now: t0, Checks: views, Prev: s, Dirty: p.ServicesOf(int32(at))})
	}
}

func BenchmarkBuildRegion(b *testing.B) {
	p, views := bigPlan(10_000)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	var dirty []int32
	for i := range p.Services {
		dirty = append(dirty, int32(i))
	}
	b.ReportAllocs()
	prev := s
	for i := 0; b.Loop(); i++ {
		for c := range views {
			if c%6 < 2 {
				views[c].Verdict = []health.Verdict{health.Down, health.Up}[i%2]
				views[c].Cause = health.CauseTimeout
			}
		}
		if i%2 == 0 {
			prev = s // a region that failed a hundred times today is not what is measured
		}
		prev = Build(Input{Plan: p, Now: t0, Checks: views, Prev: prev, Dirty: dirty})
	}
}

// TestDecideAllocatesNothing: a query's decision must not feed the collector.
func TestDecideAllocatesNothing(t *testing.T) {
	p, views := bigPlan(100)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	name, c := []byte("s00042.example.org."), netip.MustParseAddr("10.1.2.3")
	var out [MaxAnswers]netip.Addr
	if n := testing.AllocsPerRun(100, func() {
		i, _, _ := p.Lookup(name)
		d := s.Decide(Query{Service: i, Client: c, Seed: 7})
		d.Addrs(out[:8])
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
