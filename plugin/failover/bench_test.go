package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// thousands is a failover.yaml of n services.
func thousands(n int) string {
	var b strings.Builder
	b.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%05d.example.org: {monitors: [web], pools: [{aws/us-east-1: [10.%d.%d.1]}, {gcp/europe-west1: [10.%d.%d.2]}]}\n",
			i, i>>8, i&255, i>>8, i&255)
	}
	return b.String()
}

// nothing is a plugin below that does nothing, so that only we are measured.
var nothing = plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
	return dns.RcodeSuccess, nil
})

// sink is a client that throws the reply away.
type sink struct{ writer }

func (*sink) WriteMsg(*dns.Msg) error { return nil }

func serve(b *testing.B, h plugin.Handler, name string) {
	w := &sink{writer{addr: udp("10.240.0.1")}}
	r, ctx := question(name, dns.TypeA), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.ServeDNS(ctx, w, r); err != nil {
			b.Fatal(err)
		}
	}
}

// caller is what every plugin does at least: pass the query on.
type caller struct{ next plugin.Handler }

func (c caller) Name() string { return "caller" }

func (c caller) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	return plugin.NextOrFailure("caller", c.next, ctx, w, r)
}

func BenchmarkCallNext(b *testing.B) { serve(b, caller{nothing}, "www.unrelated.example.net.") }
func BenchmarkPassThrough(b *testing.B) {
	serve(b, handler(b, thousands(10_000), nothing), "www.unrelated.example.net.")
}

func BenchmarkAnswer(b *testing.B) {
	serve(b, handler(b, thousands(10_000), nothing), "s04242.example.org.")
}

// BenchmarkAnswerAny asks for each of 10,000 services in turn, so that nothing of
// one lies in the processor's caches when it is asked for.
func BenchmarkAnswerAny(b *testing.B) {
	h := handler(b, thousands(10_000), nothing)
	w, ctx := &sink{writer{addr: udp("10.240.0.1")}}, context.Background()
	var rs []*dns.Msg
	for _, i := range rand.Perm(10_000) {
		rs = append(rs, question(fmt.Sprintf("s%05d.example.org.", i), dns.TypeA))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := h.ServeDNS(ctx, w, rs[i%len(rs)]); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations holds the hot path to what it may allocate: the reply, and on
// the way through only what NextOrFailure allocates itself.
func TestAllocations(t *testing.T) {
	f := handler(t, thousands(100), nothing)
	w, ctx := &sink{writer{addr: udp("10.240.0.1")}}, context.Background()
	for name, limit := range map[string]float64{"s00042.example.org.": 1, "www.unrelated.example.net.": 1} {
		r := question(name, dns.TypeA)
		if n := testing.AllocsPerRun(200, func() { _, _ = f.ServeDNS(ctx, w, r) }); n > limit {
			t.Errorf("%s: %v allocations, at most %v", name, n, limit)
		}
	}
}
