package guard

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
)

// script is the plugin below: it says what a test makes it say.
type script struct {
	mu    sync.Mutex
	says  map[string]func(r *dns.Msg) *dns.Msg // by "name type"; nil = silence
	asked map[string]int
	full  bool // as below a gate that lets no client through
}

func newScript() *script {
	return &script{says: map[string]func(*dns.Msg) *dns.Msg{}, asked: map[string]int{}}
}

func (s *script) Name() string { return "script" }

func (s *script) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	key := r.Question[0].Name + " " + dns.TypeToString[r.Question[0].Qtype]
	s.mu.Lock()
	s.asked[key]++
	say, known := s.says[key]
	full := s.full
	s.mu.Unlock()
	note := below.NoteOf(ctx)
	switch {
	case full && (note == nil || !note.Own):
		if note != nil {
			note.Refused = true
		}
		_ = w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeRefused))
		return 0, nil
	case !known:
		_ = w.WriteMsg(nodata(r))
		return 0, nil
	case say == nil:
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
		return dns.RcodeServerFailure, context.DeadlineExceeded
	}
	_ = w.WriteMsg(say(r))
	return 0, nil
}

// set makes name and type be answered by say.
func (s *script) set(key string, say func(*dns.Msg) *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[key] = say
}

// crowded makes the gate full, or not.
func (s *script) crowded(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

const soa900 = ". 900 IN SOA ns. host. 1 7200 1800 86400 900"

func nodata(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Ns = []dns.RR{test.SOA(soa900)}
	return m
}

func nxdomain(r *dns.Msg) *dns.Msg {
	m := nodata(r)
	m.Rcode = dns.RcodeNameError
	return m
}

func servfail(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(r, dns.RcodeServerFailure)
	return m
}

// has answers with records in zone file format.
func has(records ...string) func(*dns.Msg) *dns.Msg {
	return func(r *dns.Msg) *dns.Msg {
		m := new(dns.Msg)
		m.SetReply(r)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return m
	}
}

// world is a guard over a script, in a bubble.
type world struct {
	*testing.T
	g     *Guard
	below *script
	at    *bureau
	back  *backends
	ca    *authority
}

// inWorld runs f in a bubble with a guard of this configuration.
func inWorld(t *testing.T, conf string, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, conf, newScript())
		defer w.end()
		f(w)
	})
}

func newWorld(t *testing.T, conf string, s *script) *world {
	t.Helper()
	old := office
	office = newBureau()
	t.Cleanup(func() { office = old })
	w := &world{T: t, below: s, ca: newAuthority(t), at: office, back: &backends{certs: map[string]*tls.Certificate{}, silent: map[string]bool{}}}
	w.g = w.guard(conf)
	return w
}

// guard starts a guard of this configuration.
func (w *world) guard(conf string) *Guard {
	w.Helper()
	g := w.mustGuard(w.T, conf)
	g.Next = w.below
	w.at.enter(g, ".:53/")
	return g
}

// mustGuard makes a guard that reaches the world's backends. It does not start it.
func (w *world) mustGuard(t testing.TB, conf string) *Guard {
	t.Helper()
	g, err := parse(caddy.NewTestController("dns", conf))
	if err != nil {
		t.Fatal(err)
	}
	g.opts.dial = w.back.dial
	if w.ca != nil {
		g.opts.roots = w.ca.roots()
	}
	if g.prove, err = newProver(&g.opts); err != nil {
		t.Fatal(err)
	}
	return g
}

func (w *world) end() {
	w.at.leave()
	synctest.Wait()
}

// ask asks as a client over UDP, without EDNS.
func (w *world) ask(name string, qtype uint16) *dns.Msg {
	w.Helper()
	r := new(dns.Msg)
	r.SetQuestion(name, qtype)
	return w.send(r)
}

func (w *world) send(r *dns.Msg) *dns.Msg {
	w.Helper()
	return w.via(&test.ResponseWriter{}, r)
}

func (w *world) via(rw dns.ResponseWriter, r *dns.Msg) *dns.Msg {
	w.Helper()
	c := &client{ResponseWriter: rw, got: make(chan *dns.Msg, 2)}
	go func() {
		rc, _ := w.g.ServeDNS(context.Background(), c, r)
		if !plugin.ClientWrite(rc) {
			m := new(dns.Msg)
			m.SetRcode(r, rc)
			c.got <- m
		}
	}()
	return <-c.got
}

// client is who asks.
type client struct {
	dns.ResponseWriter
	got chan *dns.Msg
}

func (c *client) WriteMsg(m *dns.Msg) error { c.got <- m.Copy(); return nil }

// learn asks for a name once every 20 s for so long.
func (w *world) learn(name string, d time.Duration) {
	for end := time.Now().Add(d); !time.Now().After(end); wait(20 * time.Second) {
		w.ask(name, dns.TypeA)
	}
}

// believed returns what the guard holds for the IPv4 addresses of a name's chain.
func (w *world) believed(name string) far {
	e := w.g.table.look(name)
	if e == nil {
		return far{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return *e.farOf(false)
}

// wait lets time pass in the bubble.
func wait(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
	synctest.Wait()
}

// want compares the answer section and the code of a reply.
func (w *world) want(m *dns.Msg, rcode int, addrs ...string) {
	w.Helper()
	var got []string
	for _, rr := range m.Answer {
		if ip, ok := address(rr); ok {
			got = append(got, ip.String())
		}
	}
	if m.Rcode != rcode || len(got) != len(addrs) {
		w.Fatalf("got %s %v, want %s %v", dns.RcodeToString[m.Rcode], got, dns.RcodeToString[rcode], addrs)
	}
	for _, a := range addrs {
		found := false
		for _, b := range got {
			found = found || a == b
		}
		if !found {
			w.Fatalf("got %v, want %v", got, addrs)
		}
	}
}

func manyNames(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("n%d.cloud.example.", i))
	}
	return out
}

// learnMany makes n names known, each with an address of its own that proved
// itself.
func (w *world) learnMany(n int) (ips, names []string) {
	names = manyNames(n)
	for i, name := range names {
		ips = append(ips, fmt.Sprintf("192.0.%d.%d", i%10, i/10+1))
		w.back.set(ips[i], w.ca.issue(w.T, strings.TrimSuffix(name, ".")))
		w.below.set(name+" A", has(name+" 60 IN A "+ips[i]))
		for range 10 { // so often until a pattern takes it in
			w.ask(name, dns.TypeA)
		}
	}
	wait(5 * time.Minute) // 5 trials a second, one in each /24
	return ips, names
}

// place24 is the network of which one address may be asked a second.
func place24(ip netip.Addr) netip.Prefix {
	p, _ := ip.Prefix(24)
	return p
}

func addr(t testing.TB, ip string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
