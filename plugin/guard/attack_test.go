package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/prober"
)

// TestThePatternsLimitHolds holds that a name beyond the limit does not stand in at
// its second question, or its tenth, either.
func TestThePatternsLimitHolds(t *testing.T) {
	inWorld(t, "guard {\n state off\n pattern *.cloud.example 400\n}", func(w *world) {
		_, names := w.learnMany(120)
		for range 3 {
			stood := 0
			for _, n := range names {
				w.below.set(n+" A", nodata)
				stood += len(w.ask(n, dns.TypeA).Answer)
			}
			if stood != 100 {
				t.Errorf("%d names of a pattern stand in, want 100", stood)
			}
			wait(10 * time.Second)
		}
	})
}

// failsLate is a plugin that returns an error when its client was answered already,
// at the first question.
type failsLate struct {
	after time.Duration
	asked atomic.Bool
}

func (*failsLate) Name() string { return "failslate" }

func (f *failsLate) ServeDNS(ctx context.Context, _ dns.ResponseWriter, _ *dns.Msg) (int, error) {
	for range 8 {
		if f.asked.Load() {
			break
		}
		metadata.SetValueFunc(ctx, "forward/upstream", func() string { return "192.0.2.53:53" })
		<-time.NewTimer(f.after / 8).C
	}
	f.asked.Store(true)
	return dns.RcodeServerFailure, errors.New("nobody answers")
}

// TestOneReply holds that a client which was answered when its time was up is not
// answered again when the plugins below give up, over any transport, and that what
// is above may read the metadata then.
func TestOneReply(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		inWorld(t, "guard api.cloud.example {\n state off\n proof age\n on timeout\n}", func(w *world) {
			w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
			w.learn(api, time.Minute)
			w.g.Next = &failsLate{after: 4 * time.Second}
			r := new(dns.Msg)
			r.SetQuestion(api, dns.TypeA)
			c := &client{ResponseWriter: &test.ResponseWriter{TCP: tcp}, got: make(chan *dns.Msg, 9)}
			ctx := metadata.ContextWithMetadata(context.Background())
			metadata.SetValueFunc(ctx, "above/x", func() string { return "x" })
			begun := time.Now()
			rc, err := w.g.ServeDNS(ctx, c, r)
			if d := time.Since(begun); tcp && d > patience {
				t.Errorf("the connection was held up for %v", d)
			}
			for range 100 {
				for _, f := range metadata.ValueFuncs(ctx) {
					_ = f()
				}
			}
			wait(time.Minute)
			if len(c.got) != 1 || rc != dns.RcodeSuccess || err != nil {
				t.Errorf("TCP %v: %d replies; returned %d, %v", tcp, len(c.got), rc, err)
			}
		})
	}
}

// TestMetadataGoesUp holds that what plugins below note is seen above, over TCP too.
func TestMetadataGoesUp(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.g.Next = plugin.HandlerFunc(func(ctx context.Context, rw dns.ResponseWriter, r *dns.Msg) (int, error) {
			metadata.SetValueFunc(ctx, "forward/upstream", func() string { return "below" })
			return w.below.ServeDNS(ctx, rw, r)
		})
		ctx := metadata.ContextWithMetadata(context.Background())
		r := new(dns.Msg)
		r.SetQuestion(api, dns.TypeA)
		_, _ = w.g.ServeDNS(ctx, &test.ResponseWriter{TCP: true}, r)
		if upstream(ctx) != "below" {
			t.Error("lost")
		}
	})
}

// fault is a prober with a fault.
type fault struct{}

func (fault) Probe(context.Context, prober.Target) health.Result { panic("a fault") }

// TestOneBadNameIsForgotten holds that a fault of ours with one name, wherever it
// shows, costs what was kept of that name and nothing else.
func TestOneBadNameIsForgotten(t *testing.T) {
	const other = "login.cloud.example."
	for place, touch := range map[string]func(w *world, e *entry){
		"a question": func(w *world, e *entry) {
			e.mu.Lock()
			e.known.V4.Bad, e.known.V4.Why = guard.At(time.Now()), 200
			e.mu.Unlock()
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
		},
		"an answer": func(w *world, e *entry) { w.g.take(e, nil, nil) },
		"a proof": func(w *world, e *entry) {
			bad := *w.g
			bad.prove.probe = fault{}
			go bad.proveMember(e, false, e.known.V4.Members[0].IP)
		},
		"a stranger's proof": func(w *world, e *entry) {
			bad := *w.g
			bad.prove.probe = fault{}
			go bad.judge(e, e.known.V4.Members[0].IP)
		},
		"a trial": func(w *world, e *entry) {
			bad := *w.g
			bad.prove.probe = fault{}
			e.known.Tried = 0
			bad.trial(e, guard.At(time.Now()))
		},
	} {
		t.Run(place, func(t *testing.T) {
			inWorld(t, "guard "+api+" "+other+" {\n state off\n}", func(w *world) {
				w.T = t
				for i, n := range []string{api, other} {
					w.below.set(n+" A", has(fmt.Sprintf("%s 5 IN A 192.0.2.%d", n, i+1)))
					w.learn(n, time.Minute)
				}
				for _, n := range []string{api, other} {
					w.below.set(n+" A", nodata)
				}
				w.want(w.ask(other, dns.TypeA), dns.RcodeSuccess, "192.0.2.2")
				e := w.g.table.look(api)
				touch(w, e)
				wait(10 * time.Second)
				if known, _ := e.state(); known {
					t.Error("the bad name is still kept")
				}
				w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess) // it is not locked for ever
				w.want(w.ask(other, dns.TypeA), dns.RcodeSuccess, "192.0.2.2")
				w.below.set(other+" A", has(other+" 5 IN A 192.0.2.2"))
				wait(2 * recheck)
				if m := w.ask(other, dns.TypeA); len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 5 {
					t.Errorf("the beat stopped: %v", m)
				}
			})
		})
	}
}

// TestAFloodOfStrangers holds that an upstream which says other addresses each time
// makes us no storm on these, and that it ends when nobody asks.
func TestAFloodOfStrangers(t *testing.T) {
	inWorld(t, "guard api.cloud.example {\n state off\n on nodata change\n}", func(w *world) {
		w.back.set("192.0.2.1", w.ca.issue(t, "api.cloud.example"))
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		var n atomic.Uint32
		w.below.set(api+" A", func(r *dns.Msg) *dns.Msg {
			var records []string
			for range 8 {
				i := n.Add(1)
				records = append(records, fmt.Sprintf("%s 5 IN A 203.%d.%d.1", api, i>>8&255, i&255))
			}
			return has(records...)(r)
		})
		before, begun := len(w.back.made()), time.Now()
		for range 120 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
			wait(time.Second)
		}
		if most := guard.PerSecond * int(time.Since(begun).Seconds()+2); len(w.back.made())-before > most {
			t.Errorf("%d handshakes in two minutes", len(w.back.made())-before)
		}
		wait(unasked + time.Minute)
		quiet := len(w.back.made())
		wait(10 * time.Minute)
		if more := len(w.back.made()) - quiet; more > 0 {
			t.Errorf("%d handshakes for nobody", more)
		}
	})
}

// TestANameThatIsNotGuardedAnyMore holds that a name which leaves the file stands
// in no more, for itself and for those above it.
func TestANameThatIsNotGuardedAnyMore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "names.txt")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("api.cloud.example\n")
	inWorld(t, "guard {\n state off\n proof age\n file "+file+"\n}", func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.below.set("cloud.example. A", nxdomain)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.want(w.ask("cloud.example.", dns.TypeA), dns.RcodeSuccess)
		write("other.example\n")
		wait(reread + time.Second)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
		w.want(w.ask("cloud.example.", dns.TypeA), dns.RcodeNameError)
		if guard.Standing.Has(api) {
			t.Error("it is still on the board")
		}
	})
}

// TestOnlyAnswersAreCounted holds that the metric counts what clients were answered,
// and not our own questions in the background.
func TestOnlyAnswersAreCounted(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		counted := func() (sum float64) {
			all, err := prometheus.DefaultGatherer.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range all {
				for _, m := range family.GetMetric() {
					if family.GetName() == "coredns_failover_guard_answers_total" {
						sum += m.GetCounter().GetValue()
					}
				}
			}
			return sum
		}
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		before := counted()
		for _, broken := range []func(*dns.Msg) *dns.Msg{nil, nodata} {
			w.below.set(api+" A", broken)
			w.ask(api, dns.TypeA)
			wait(time.Minute)
		}
		if got := counted() - before; got != 2 {
			t.Errorf("%v answers are counted of 2", got)
		}
	})
}

// TestAClockThatIsSetBackDelaysNoRepair holds that a background question which was
// planned for long from now, by a clock that was ahead, is put at its usual time.
func TestAClockThatIsSetBackDelaysNoRepair(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		good := has(api + " 5 IN A 192.0.2.1")
		w.below.set(api+" A", good)
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.below.set(api+" A", good)
		e := w.g.table.look(api)
		e.mu.Lock()
		e.next = guard.At(time.Now()).Add(time.Hour)
		e.mu.Unlock()
		wait(recheck + time.Second)
		if m := w.ask(api, dns.TypeA); m.Answer[0].Header().Ttl != 5 {
			t.Errorf("%v", m)
		}
	})
}

// TestWhatIsSignedStaysSo holds that a negative reply with its proofs is changed in
// nothing but lifetimes.
func TestWhatIsSignedStaysSo(t *testing.T) {
	m := nxdomain(new(dns.Msg))
	m.AuthenticatedData = true
	m.Ns = append(m.Ns, test.RRSIG(". 900 IN RRSIG SOA 8 0 900 20300101000000 20200101000000 1 . AAAA"), test.NSEC(". 900 IN NSEC a. SOA"))
	for _, out := range []*dns.Msg{shorten(m, 15), denied(m, 15)} {
		soa, sig := out.Ns[0].(*dns.SOA), out.Ns[1].(*dns.RRSIG)
		if soa.Minttl != 900 || soa.Hdr.Ttl != 15 || sig.Hdr.Ttl != 15 || out.Rcode != dns.RcodeNameError || !out.AuthenticatedData || len(out.Ns) != 3 {
			t.Errorf("%v", out)
		}
	}
	if m.Ns[0].Header().Ttl != 900 || m.Ns[1].Header().Ttl != 900 {
		t.Error("it was not ours")
	}
	m.Ns = m.Ns[:1]
	if out := denied(m, 15); out.AuthenticatedData || out.Rcode != dns.RcodeSuccess || out.Ns[0].(*dns.SOA).Minttl != 15 {
		t.Errorf("%v", out)
	}
}
