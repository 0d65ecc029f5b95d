package guard

import (
	"context"
	"testing"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

// TestATargetInAnotherBlock holds that a target of the kept chain is asked for where it
// lies, in whatever block of the server, as whoever asks for it directly is told; but
// that what another guard stands in with there is no answer to that.
func TestATargetInAnotherBlock(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		far := newScript()
		other := w.mustGuard(w.T, "guard "+edge+" {\n proof age\n state off\n}")
		other.Next = far
		w.at.enter(other, "cdn.example.:53/")
		s, err := dnsserver.NewServer("dns://127.0.0.1:0", []*dnsserver.Config{
			{Zone: ".", Plugin: []plugin.Plugin{func(plugin.Handler) plugin.Handler { return w.g }}},
			{Zone: "cdn.example.", Plugin: []plugin.Plugin{func(plugin.Handler) plugin.Handler { return other }}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(name string) *dns.Msg { return askServer(t, s, new(dns.Msg).SetQuestion(name, dns.TypeA)) }
		w.below.set(api+" A", has(api+" 5 IN CNAME "+edge, edge+" 5 IN A 192.0.2.1"))
		w.below.set(edge+" A", servfail)
		far.set(edge+" A", has(edge+" 5 IN A 192.0.2.1"))
		for range 10 {
			ask(api)
			ask(edge)
			wait(20 * time.Second)
		}
		w.below.set(api+" A", servfail)
		far.set(edge+" A", has(edge+" 5 IN A 198.51.100.7"))
		w.want(ask(api), dns.RcodeSuccess, "198.51.100.7")
		wait(5 * time.Minute)
		far.set(edge+" A", servfail)
		wait(time.Minute)
		w.want(ask(edge), dns.RcodeSuccess, "192.0.2.1") // the other guard stands in
		for range 5 {
			if f := w.believed(api); len(f.addrs) > 0 && f.ttl == 15 {
				t.Fatalf("what stands in there is believed: %v", f.addrs)
			}
			ask(api)
			wait(10 * time.Second)
		}
	})
}

// askServer asks a whole server, as a client of it does.
func askServer(t *testing.T, s *dnsserver.Server, r *dns.Msg) *dns.Msg {
	t.Helper()
	ctx := context.WithValue(context.WithValue(t.Context(), dnsserver.Key{}, s), dnsserver.LoopKey{}, 0)
	c := &client{ResponseWriter: &test.ResponseWriter{}, got: make(chan *dns.Msg, 2)}
	go s.ServeDNS(ctx, c, r)
	return <-c.got
}
