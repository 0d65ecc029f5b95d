package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/cache"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

// TestBelowARealCache holds over CoreDNS's own cache, by UDP and TCP, that a name
// which fails in any way is answered with what was kept, that nothing negative is in
// the cache after the repair, and that a question is answered in time.
func TestBelowARealCache(t *testing.T) {
	for word, broken := range map[string]func(*dns.Msg) *dns.Msg{"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "timeout": nil} {
		for _, tcp := range []bool{false, true} {
			inWorld(t, plainConf, func(w *world) {
				c := cache.New()
				c.Next = w.g
				ask := func() *dns.Msg {
					t.Helper()
					r := new(dns.Msg)
					r.SetQuestion("API.cloud.example.", dns.TypeA)
					r.SetEdns0(1232, false)
					rec, begun := &client{ResponseWriter: &test.ResponseWriter{TCP: tcp}, got: make(chan *dns.Msg, 4)}, time.Now()
					rc, err := c.ServeDNS(context.Background(), rec, r)
					if len(rec.got) != 1 || !plugin.ClientWrite(rc) || err != nil {
						t.Fatalf("%s, TCP %v: %d replies, %d, %v", word, tcp, len(rec.got), rc, err)
					}
					if d := time.Since(begun); tcp && d > patience {
						t.Fatalf("%s: the connection was held up for %v", word, d)
					}
					m := <-rec.got
					if m.Question[0].Name != "API.cloud.example." || len(m.Answer) != 1 || m.Id != r.Id {
						t.Fatalf("%s, TCP %v: %v", word, tcp, m)
					}
					return m
				}
				good := has(api + " 5 IN A 192.0.2.1")
				for _, n := range []string{api, "API.cloud.example."} {
					w.below.set(n+" A", good)
				}
				for range 8 {
					ask()
					wait(10 * time.Second)
				}
				for _, n := range []string{api, "API.cloud.example."} {
					w.below.set(n+" A", broken)
				}
				for range 100 {
					if ttl := ask().Answer[0].Header().Ttl; ttl > 15 {
						t.Fatalf("TTL %d", ttl)
					}
					wait(1700 * time.Millisecond)
				}
				for _, n := range []string{api, "API.cloud.example."} {
					w.below.set(n+" A", good)
				}
				wait(15*time.Second + recheck + askTime)
				if ttl := ask().Answer[0].Header().Ttl; ttl > 5 {
					t.Errorf("%s: not the truth after the repair: TTL %d", word, ttl)
				}
			})
		}
	}
}

// TestNamesThatDoNotExistTakeNoPlace holds that clients cannot fill a pattern with
// names that have no address.
func TestNamesThatDoNotExistTakeNoPlace(t *testing.T) {
	inWorld(t, "guard {\n state off\n proof age\n pattern *.cloud.example 20\n}", func(w *world) {
		for i := range 1000 {
			name := fmt.Sprintf("x%d.cloud.example.", i)
			w.below.set(name+" A", nxdomain)
			for range 11 {
				w.want(w.ask(name, dns.TypeA), dns.RcodeNameError)
			}
		}
		if n := len(w.g.table.all()); n != 0 {
			t.Errorf("%d names that do not exist are kept", n)
		}
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		for range 10 {
			w.learn(api, time.Minute)
		}
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		if used := w.g.names.patterns[0].used.Load(); used != 1 {
			t.Errorf("%d places are used", used)
		}
	})
}

// TestAnOldChainSaysNothing holds that what plugins of a server block answer that is
// shut down already, after a reload, makes no name fail.
func TestAnOldChainSaysNothing(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		old := w.g
		w.g = w.guard(plainConf)
		w.at.depart(old)
		old.Next = plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) {
			return dns.RcodeServerFailure, errors.New("transport stopped")
		})
		old.askAgain(old.table.look(api), false, false)
		if m := w.ask(api, dns.TypeA); m.Answer[0].Header().Ttl != 5 {
			t.Errorf("%v", m)
		}
	})
}

// TestReloadsDoNotMultiplyPlaces holds that a pattern's places are its own over
// reloads.
func TestReloadsDoNotMultiplyPlaces(t *testing.T) {
	conf := "guard {\n state off\n proof age\n pattern *.cloud.example 20\n}"
	inWorld(t, conf, func(w *world) {
		for reload := range 5 {
			for i := range 20 {
				name := fmt.Sprintf("r%dn%d.cloud.example.", reload, i)
				w.below.set(name+" A", has(name+" 5 IN A 192.0.2.1"))
				for _, from := range []string{"10.240.0.1", "10.240.0.2", "10.240.0.1"} {
					w.via(&test.ResponseWriter{RemoteIP: from}, new(dns.Msg).SetQuestion(name, dns.TypeA))
				}
			}
			old := w.g
			w.g = w.guard(conf)
			w.at.depart(old)
		}
		if n := len(w.g.table.all()); n != 20 {
			t.Errorf("%d names in 20 places", n)
		}
	})
}

// TestAnotherProcessHasTheFile holds that the start does without the file, and takes
// in what it holds when the other one lets go.
func TestAnotherProcessHasTheFile(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	other, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript()
	s.set(api+" A", nodata)
	w := newWorld(t, diskConf(dir), s)
	defer w.at.leave()
	ask := func() []string {
		r, c := new(dns.Msg), &recorder{}
		r.SetQuestion(api, dns.TypeA)
		if _, err := w.g.ServeDNS(t.Context(), c, r); err != nil || len(c.msgs) != 1 {
			t.Fatal(err)
		}
		return answers(c.msgs[0])
	}
	if got := ask(); len(got) != 0 {
		t.Errorf("answered %v", got)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	end := time.NewTimer(10 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	for len(ask()) == 0 {
		select {
		case <-end.C:
			t.Fatal("the file was not read when it was free")
		case <-again.C:
		}
	}
}

// TestNamesAreWhole holds that a handler copes with names of any bytes.
func TestNamesAreWhole(t *testing.T) {
	g := fuzzGuard(t)
	g.names.patterns = append(g.names.patterns, &slot{Pattern: guard.Pattern{Base: "example.", Most: 9}})
	g.Next = plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		return 0, w.WriteMsg(nodata(r))
	})
	for _, name := range []string{".", "", "..", `\000.example.`, `\..example.`, `a\.b.example.`, strings.Repeat("a.", 127), strings.Repeat("a", 300) + ".example.", "ſ.example.", "\xff.example.", "example"} {
		r := new(dns.Msg)
		r.Question = []dns.Question{{Name: name, Qtype: dns.TypeA, Qclass: dns.ClassINET}}
		r.RecursionDesired = true
		c := &recorder{}
		for range 12 {
			if _, err := g.ServeDNS(t.Context(), c, r); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	for _, r := range []*dns.Msg{{}, {Question: make([]dns.Question, 2)}} {
		if _, err := g.ServeDNS(t.Context(), &recorder{}, r); err != nil {
			t.Error(err)
		}
	}
}
