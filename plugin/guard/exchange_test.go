package guard

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/exchange"
	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/share"
)

// shelf is a store that several guards share, without a server.
type shelf struct {
	mu      sync.Mutex
	records map[string]share.Record // by zone, writer and target
	news    chan struct{}
	alive   []string
	writes  int
	broken  bool
}

func newShelf() *shelf {
	return &shelf{records: map[string]share.Record{}, news: make(chan struct{})}
}

// seat is one observer's place at a shelf.
type seat struct {
	*shelf
	zone string
	seen int
}

func (p *seat) Keep(_ context.Context, list []share.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return context.DeadlineExceeded
	}
	for _, r := range list {
		key := p.zone + " " + r.Version.Writer + " " + r.Target
		if old, ok := p.records[key]; !ok || old.Version.Less(r.Version) {
			p.records[key] = r
			p.writes++
		}
	}
	close(p.news)
	p.news = make(chan struct{})
	return nil
}

func (p *seat) Kept(ctx context.Context) (out share.Stock, err error) {
	p.mu.Lock()
	news, first := p.news, p.seen == 0
	p.seen++
	p.mu.Unlock()
	if !first {
		select {
		case <-news:
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken {
		return out, context.DeadlineExceeded
	}
	for key, r := range p.records {
		if zone, _, _ := strings.Cut(key, " "); zone == p.zone {
			out.Here = append(out.Here, r)
		} else {
			out.Elsewhere = append(out.Elsewhere, r)
		}
	}
	return out, nil
}

// fleet is several resolvers over one script, the same backends and one shelf.
type fleet struct {
	*testing.T
	shelf *shelf
	first *world
	conf  string
}

func inFleet(t *testing.T, conf string, f func(*fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &fleet{T: t, shelf: newShelf(), conf: conf}
		f(s)
		synctest.Wait()
	})
}

// join starts a resolver that knows nothing. The test ends it.
func (s *fleet) join(name, zone string) (w *world, end func()) {
	s.Helper()
	w = newWorld(s.T, "guard unused.example {\n state off\n}", newScript())
	if s.first == nil {
		s.first = w
	}
	w.back, w.ca, w.below = s.first.back, s.first.ca, s.first.below
	w.at.fair = &guard.Market{}
	x := exchange.New(exchange.Options{
		At: &seat{shelf: s.shelf, zone: zone}, Self: name, Log: slog.New(slog.DiscardHandler),
		Zone: func() []string { s.shelf.mu.Lock(); defer s.shelf.mu.Unlock(); return slices.Clone(s.shelf.alive) },
	})
	w.at.fair.Open(x)
	w.g = w.guard(s.conf)
	s.shelf.mu.Lock()
	s.shelf.alive = append(s.shelf.alive, name)
	s.shelf.mu.Unlock()
	return w, func() {
		s.shelf.mu.Lock()
		s.shelf.alive = slices.DeleteFunc(s.shelf.alive, func(n string) bool { return n == name })
		s.shelf.mu.Unlock()
		x.Close()
		w.end()
	}
}

// TestAStartInTheOutage holds that a resolver with an empty disk that starts while a
// name's DNS is empty answers what the others kept, of its zone or another's; without
// the chain that one of them says leads there.
func TestAStartInTheOutage(t *testing.T) {
	for name, zone := range map[string]string{"same zone": "z1", "another zone": "z2"} {
		t.Run(name, func(t *testing.T) {
			inFleet(t, tlsConf, func(s *fleet) {
				a, end := s.join("a", "z1")
				defer end()
				a.back.set("192.0.2.1", a.ca.issue(t, "api.cloud.example"))
				a.below.set(api+" A", has(api+" 5 IN CNAME edge.cloud.example.", "edge.cloud.example. 5 IN A 192.0.2.1"))
				a.learn(api, 2*time.Minute)
				a.below.set(api+" A", nodata)
				a.want(a.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
				wait(time.Hour)
				b, end := s.join("b", zone)
				defer end()
				wait(3 * time.Second)
				m := b.ask(api, dns.TypeA)
				b.want(m, dns.RcodeSuccess, "192.0.2.1")
				if _, ok := m.Answer[0].(*dns.CNAME); ok {
					t.Errorf("by a chain of which only one other knows: %v", m.Answer)
				}
				wait(22 * time.Hour)
				a.want(a.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
				b.want(b.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
				wait(2 * time.Hour) // the day counts from when it began to fail, not from b's start
				a.want(a.ask(api, dns.TypeA), dns.RcodeSuccess)
				b.want(b.ask(api, dns.TypeA), dns.RcodeSuccess)
			})
		})
	}
}

// outage makes n resolvers of one zone that know a name, and empties it.
func (s *fleet) outage(n int) (all []*world, ends []func()) {
	s.Helper()
	for i := range n {
		w, end := s.join(string(rune('a'+i)), "z1")
		all, ends = append(all, w), append(ends, end)
	}
	s.first.back.set("192.0.2.1", s.first.ca.issue(s.T, "api.cloud.example"))
	s.first.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
	for range 10 {
		for _, w := range all {
			w.ask(api, dns.TypeA)
		}
		wait(20 * time.Second)
	}
	s.first.below.set(api+" A", nodata)
	s.first.back.forget()
	return all, ends
}

// serve asks all of them for so long, and wants an answer from each.
func (s *fleet) serve(all []*world, d time.Duration, addrs ...string) {
	s.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); wait(5 * time.Second) {
		for _, w := range all {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, addrs...)
		}
	}
}

// TestOneProver holds that in an outage one resolver of a zone makes the proofs of a
// name, and that another takes over when it is gone, or cannot tell what it found.
func TestOneProver(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		all, ends := s.outage(4)
		s.serve(all, 31*time.Minute, "192.0.2.1")
		if n := len(s.first.back.made()); n < 6 || n > 9 { // after 0 to 10 s, 1, 2, 5, 5 ... minutes
			t.Errorf("%d proofs by four resolvers in half an hour: one makes 8", n)
		}
		for i, w := range all { // the one that makes them stops
			if self, zone := w.at.fair.Exchange().Zone(); guard.Elected(self, zone, api) {
				ends[i]()
				all, ends = slices.Delete(all, i, i+1), slices.Delete(ends, i, i+1)
				break
			}
		}
		if len(all) != 3 {
			t.Fatalf("%d are left: nobody was elected", len(all))
		}
		s.first.back.forget()
		s.serve(all, 31*time.Minute, "192.0.2.1")
		if n := len(s.first.back.made()); n < 5 || n > 12 {
			t.Errorf("%d proofs by the three that are left", n)
		}
		s.shelf.mu.Lock()
		s.shelf.broken = true
		s.shelf.mu.Unlock()
		s.first.back.forget()
		s.serve(all, 31*time.Minute, "192.0.2.1")
		if n := len(s.first.back.made()); n < 15 {
			t.Errorf("%d proofs by three that hear nothing of one another", n)
		}
		for _, end := range ends {
			end()
		}
	})
}

// TestABadWordIsChecked holds that a resolver takes out no address because another
// says so, but asks itself at once.
func TestABadWordIsChecked(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		all, ends := s.outage(2)
		s.serve(all, 2*time.Minute, "192.0.2.1")
		liar := exchange.New(exchange.Options{At: &seat{shelf: s.shelf, zone: "z1"}, Self: "liar", Zone: func() []string { return nil }, Log: slog.New(slog.DiscardHandler)})
		wait(time.Second)
		list, _ := liar.Found()
		if len(list) != 2 {
			t.Fatalf("%d are kept", len(list))
		}
		lie := list[0].Shared
		lie.Known = lie.Known.Clone()
		lie.Known.V4.Members[0].Was, lie.Known.V4.Members[0].Proved = guard.Refuted, guard.At(time.Now())
		liar.Leave(lie)
		s.first.back.forget()
		s.serve(all, 20*time.Second, "192.0.2.1")
		if n := len(s.first.back.made()); n < 1 || n > 4 {
			t.Errorf("%d proofs after a bad word", n)
		}
		s.first.back.set("192.0.2.1", s.first.ca.issue(t, "shop.other.example")) // and now it is true
		lie.Known.V4.Members[0].Proved = guard.At(time.Now())
		liar.Leave(lie)
		wait(75 * time.Second)
		s.serve(all, 5*time.Second)
		liar.Close()
		for _, end := range ends {
			end()
		}
	})
}

// TestWhatIsGoneIsNotRevived holds that an address that an operator let go of does
// not come back from the store, to this resolver or to one that starts later.
func TestWhatIsGoneIsNotRevived(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		all, ends := s.outage(1)
		s.serve(all, time.Minute, "192.0.2.1")
		if !s.first.at.Accept(api) {
			t.Fatal("not guarded")
		}
		wait(10 * time.Second)
		s.serve(all, time.Minute)
		b, end := s.join("b", "z2")
		wait(10 * time.Second)
		s.serve([]*world{b}, time.Minute)
		for _, end := range append(ends, end) {
			end()
		}
	})
}

// TestAtRestNothingIsWritten holds that while a name is well and stays where it is,
// it is written once, and then once an hour.
func TestAtRestNothingIsWritten(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		a, enda := s.join("a", "z1")
		b, endb := s.join("b", "z1")
		a.back.set("192.0.2.1", a.ca.issue(t, "api.cloud.example"))
		a.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		for range 3 * 60 * 5 {
			a.ask(api, dns.TypeA)
			b.ask(api, dns.TypeA)
			wait(12 * time.Second)
		}
		if s.shelf.writes < 1 || s.shelf.writes > 5 {
			t.Errorf("%d writes in three hours of peace", s.shelf.writes)
		}
		enda()
		endb()
	})
}

// TestTimesToCome holds that a value with times of the far future, which nothing could
// outdo, is put right by whoever knows the name.
func TestTimesToCome(t *testing.T) {
	inFleet(t, tlsConf, func(s *fleet) {
		p, never := &seat{shelf: s.shelf, zone: "z1"}, guard.At(time.Now().Add(1e6*time.Hour))
		lie := guard.Shared{Block: ".:53/", Name: api, Known: guard.Name{Gone: never, V4: guard.Kept{Good: never, Bad: never, Began: never, Members: []guard.Member{
			{IP: addr(t, "203.0.113.66"), First: never, Last: never, Proved: never, Was: guard.Refuted, Times: 3},
		}}}}
		raw, err := json.Marshal(lie)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Keep(t.Context(), []share.Record{{Kind: share.Kept, Target: exchange.Target(lie.Block, lie.Name), Version: share.Version{N: 7, Writer: "x"}, Value: raw}})
		all, ends := s.outage(1)
		s.serve(all, time.Minute, "192.0.2.1")
		b, end := s.join("b", "z1")
		wait(5 * time.Second)
		s.serve([]*world{b}, time.Minute, "192.0.2.1")
		for _, end := range append(ends, end) {
			end()
		}
	})
}

// TestLiesOfOthers holds that nothing enters by the store that would not enter by
// an answer: forbidden and private addresses, names that nobody listed, values of
// other names, members that nobody saw or proved.
func TestLiesOfOthers(t *testing.T) {
	inFleet(t, "guard api.cloud.example {\n state off\n pattern *.bank.example 10\n}", func(s *fleet) {
		now := guard.At(time.Now().Add(-time.Minute))
		member := func(ip string, was guard.Proof) guard.Member {
			return guard.Member{IP: addr(t, ip), First: now.Add(-time.Hour), Last: now, Times: 3, Was: was, Proved: now}
		}
		kept := func(name string, list ...guard.Member) guard.Shared {
			return guard.Shared{Block: ".:53/", Name: name, Known: guard.Name{Proves: true, V4: guard.Kept{Good: now, Members: list}}}
		}
		put := func(target, value guard.Shared) {
			p := &seat{shelf: s.shelf, zone: "z1"}
			raw, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			_ = p.Keep(t.Context(), []share.Record{{Kind: share.Kept, Target: exchange.Target(target.Block, target.Name), Version: share.Version{N: 1, Writer: "x"}, Value: raw}})
		}
		lie := kept(api, member("127.0.0.1", guard.Proven), member("169.254.169.254", guard.Proven), member("203.0.113.66", guard.Unproven),
			guard.Member{IP: addr(t, "203.0.113.67"), First: now, Last: now, Times: 1})
		put(lie, lie)
		private := kept("secret.bank.example.", member("203.0.113.66", guard.Proven))
		put(private, private)
		put(kept("other.cloud.example."), lie)
		w, end := s.join("a", "z1")
		w.below.set(api+" A", nodata)
		w.back.set("203.0.113.66", w.ca.issue(t, "evil.example"))
		wait(5 * time.Second)
		for range 10 {
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
			w.want(w.ask("secret.bank.example.", dns.TypeA), dns.RcodeSuccess)
			wait(5 * time.Second)
		}
		if _, n := w.at.Report(1000); n != 1 {
			t.Errorf("%d names are kept", n)
		}
		end()
	})
}
