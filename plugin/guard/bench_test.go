package guard

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// BenchmarkLearn learns from an answer that brings nothing new: at most 1 us and no
// allocation.
func BenchmarkLearn(b *testing.B) {
	n := guard.Name{}
	a := &guard.Answer{Chain: []string{"edge.cdn.example."}, Addrs: []guard.Addr{addr(b, "192.0.2.1"), addr(b, "192.0.2.2"), addr(b, "192.0.2.3"), addr(b, "192.0.2.4")}, TTL: 60}
	now := guard.At(time.Now())
	n.Learn(false, a, now)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if n.Learn(false, a, now+guard.Stamp(i)) == guard.Refused {
			b.Fatal("refused")
		}
	}
}

// TestLearningNothingNewAllocatesNothing holds the allocations of BenchmarkLearn.
func TestLearningNothingNewAllocatesNothing(t *testing.T) {
	n := guard.Name{}
	a := &guard.Answer{Chain: []string{"edge.cdn.example."}, Addrs: []guard.Addr{addr(t, "192.0.2.1"), addr(t, "192.0.2.2")}, TTL: 60}
	now := guard.At(time.Now())
	n.Learn(false, a, now)
	if got := testing.AllocsPerRun(100, func() { n.Learn(false, a, now) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// BenchmarkChain compares what a question costs without a guard, with one that does
// not guard its name, and with one that does.
func BenchmarkChain(b *testing.B) {
	reply := has("api.cloud.example. 60 IN A 192.0.2.1")(new(dns.Msg).SetQuestion(api, dns.TypeA))
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := *reply
		m.Id = r.Id
		_ = w.WriteMsg(&m)
		return 0, nil
	})
	old := office
	office = newBureau()
	defer func() { office = old }()
	for _, c := range []struct{ name, guards string }{{"unguarded", "www.cloud.example"}, {"guarded", "api.cloud.example"}} {
		b.Run(c.name, func(b *testing.B) {
			w := &world{below: newScript(), back: &backends{}}
			g := w.mustGuard(b, fmt.Sprintf("guard %s {\n state off\n proof age\n}", c.guards))
			g.Next = next
			g.table = newTable("bench", office, nil)
			r := new(dns.Msg).SetQuestion(api, dns.TypeA)
			rw := &discard{ResponseWriter: &test.ResponseWriter{}}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = g.ServeDNS(context.Background(), rw, r)
			}
		})
	}
}

// discard takes replies.
type discard struct{ dns.ResponseWriter }

func (*discard) WriteMsg(*dns.Msg) error { return nil }
