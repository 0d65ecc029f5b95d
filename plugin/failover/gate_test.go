package failover

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// stuck is a plugin that answers when it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) Name() string { return "stuck" }

func (s stuck) ServeDNS(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	<-s.free
	if strings.HasPrefix(r.Question[0].Name, "panic.") {
		panic("below")
	}
	return dns.RcodeSuccess, w.WriteMsg(new(dns.Msg).SetReply(r))
}

// kept is a client that keeps the reply.
type kept struct {
	writer
	reply *dns.Msg
}

func (k *kept) WriteMsg(m *dns.Msg) error { k.reply = m; return nil }

// TestGate: as many wait as may, the next one is refused and told why, and when they
// are answered there is room again, after a panic too.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		g := &gate{stuck{free}, newDoor(0, 0)}
		ask := func(name string) *dns.Msg {
			k := &kept{writer: writer{addr: udp("10.240.0.1")}}
			r := question(name, dns.TypeA).SetEdns0(1232, false)
			_, _ = g.ServeDNS(t.Context(), k, r)
			return k.reply
		}
		var wg sync.WaitGroup
		for range minRoom - 1 {
			wg.Go(func() { ask("localhost.") })
		}
		wg.Go(func() {
			defer func() { _ = recover() }()
			ask("panic.")
		})
		synctest.Wait()
		m := ask("localhost.")
		if m == nil || m.Rcode != dns.RcodeRefused || m.Id == 0 {
			t.Fatalf("one too many got %v", m)
		}
		if opt := m.IsEdns0(); opt == nil || len(opt.Option) != 1 || !strings.Contains(opt.Option[0].String(), "too many questions wait") {
			t.Errorf("it was not told why: %v", m)
		}
		if g.door.refused.Load() != 1 || g.door.waiting.Load() != minRoom {
			t.Errorf("%d refused, %d wait", g.door.refused.Load(), g.door.waiting.Load())
		}
		close(free)
		wg.Wait()
		if m := ask("www.example.net."); m == nil || m.Rcode != dns.RcodeSuccess || g.door.waiting.Load() != 0 {
			t.Errorf("afterwards: %v, %d wait", m, g.door.waiting.Load())
		}
	})
}

// TestBusyWithoutEDNS: who did not ask with EDNS gets no OPT record (RFC 6891
// section 7).
func TestBusyWithoutEDNS(t *testing.T) {
	if m := busy(question("www.example.net.", dns.TypeA)); m.IsEdns0() != nil || m.Rcode != dns.RcodeRefused {
		t.Errorf("got %v", m)
	}
}

func TestAround(t *testing.T) {
	for _, c := range []struct{ all, before, last string }{
		{"cache etcd loop forward grpc whoami", "cache", "grpc"},
		{"cache forward whoami grpc view", "cache", "grpc"},
		{"cache loop grpc", "loop", "grpc"},
		{"cache loop forward whoami", "loop", "forward"},
		{"cache whoami", "", ""},
		{"forward cache", "", ""},
	} {
		if before, last := around(strings.Fields(c.all), asking); before != c.before || last != c.last {
			t.Errorf("%s: %q, %q", c.all, before, last)
		}
	}
}

// TestOverload: it begins once, goes on while there are lulls of less than a minute,
// and ends once.
func TestOverload(t *testing.T) {
	start := time.Unix(1e9, 0)
	o := overload{total: 7}
	for _, step := range []struct {
		at           time.Duration
		total        uint64
		begins, ends bool
	}{
		{0, 7, false, false},
		{time.Second, 9, true, false},
		{2 * time.Second, 50, false, false},
		{61 * time.Second, 50, false, false},
		{61500 * time.Millisecond, 51, false, false}, // again, a moment before it would have been over
		{121 * time.Second, 51, false, false},
		{122 * time.Second, 51, false, true},
		{130 * time.Second, 51, false, false},
		{200 * time.Second, 52, true, false},
	} {
		var begins, ends bool
		o, begins, ends = o.look(start.Add(step.at), step.total)
		if begins != step.begins || ends != step.ends {
			t.Errorf("after %v: begins %v, ends %v", step.at, begins, ends)
		}
		if ends && o.count() != "44 in 1m1s" {
			t.Errorf("it is said that there were %s", o.count())
		}
	}
	if o.count() != "1 in 1s" {
		t.Errorf("of what is over at once it is said that there were %s", o.count())
	}
}

// BenchmarkGate is what each question that is passed on pays.
func BenchmarkGate(b *testing.B) {
	serve(b, &gate{nothing, newDoor(math.MaxInt64, math.MaxInt64)}, "www.unrelated.example.net.")
}
