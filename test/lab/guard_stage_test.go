package lab

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// step is something that happens at a second of the play.
type step struct {
	at int
	do func()
}

// scene is one name, asked of Detour and of the baseline once a second while
// things happen to it.
type scene struct {
	id, what string
	name     string
	qtype    uint16 // 0: A
	port     string // that both listen on, "" is 53
	alone    bool   // there is no baseline to compare with
	steps    []step
	judge    func(*verdict)

	facts      atomic.Pointer[fact]
	mine, them *stub
}

// good says which addresses lead to the name from now on.
func (s *scene) good(ips ...string) {
	s.facts.Store(&fact{good: setOf(ips), hijacked: setOf([]string{evil})})
}

func (s *scene) now() fact { return *s.facts.Load() }

// block is a server block, of Detour and of the baseline alike.
type block struct {
	zone      string
	port      string
	names     []string
	also      string // more conditions after `on`
	keep      string // "" is the usual times
	uncached  bool
	upstreams []string
}

// stage is where the scenes play: a lab with upstreams, backends and a client.
type stage struct {
	*lab
	up       *upstreams
	ca       *authority
	backends map[string]*backend
	stock    string // the baseline's command
	scenes   []*scene
	began    time.Time
}

// stock is the place of the baseline; Detour is in "res".
const stock = "stock"

// Where things are. The regions have addresses that look public, because private
// ones have rules of their own.
const (
	evil     = "203.0.113.66" // the hijacker's
	baseline = "cache {\n    serve_stale 1h immediate 30s 30s\n    serve_stale_policy prefer_positive\n  }"
)

func aws(n int) string  { return fmt.Sprint("192.0.2.", n) }
func gcp(n int) string  { return fmt.Sprint("198.51.100.", n) }
func aws6(n int) string { return fmt.Sprint("2001:db8:a::", n) }

// upstream is the address of the n-th upstream.
func (s *stage) upstream(n int) string { return s.addr(slices.Index(s.places, "up"), 2+n) }

// newStage makes the namespaces and starts upstreams and backends.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{lab: newLab(t, "up", "client", stock), up: newUpstreams(), backends: map[string]*backend{}}
	var err error
	if s.stock, err = kit.StockBinary(); err != nil {
		t.Fatal(err)
	}
	s.ca = newAuthority(t, s.dir)
	for place, net := range map[string]string{"aws": "192.0.2.0/24", "gcp": "198.51.100.0/24", "azure": "203.0.113.0/24"} {
		s.in(place, "ip", "route", "add", "local", net, "dev", "lo")
		s.in("router", "ip", "route", "add", net, "via", s.of(place))
	}
	s.sixth()
	for n := range 6 {
		if n > 0 {
			s.in("up", "ip", "addr", "add", s.upstream(n)+"/24", "dev", fmt.Sprintf("d%dup", s.octet))
		}
		s.up.serve(s.lab, "up", s.upstream(n))
	}
	s.up.name("ready.example", addresses(5, aws(254)))
	return s
}

// sixth gives the resolvers and one region IPv6.
func (s *stage) sixth() {
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/forwarding"); err != nil {
		s.t.Skip("this machine has no IPv6")
	}
	s.in("router", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
	for i, place := range []string{"res", "aws"} {
		mine := func(host int) string { return fmt.Sprintf("2001:db8:f%x::%d", i, host) }
		s.in("router", "ip", "addr", "add", mine(1)+"/64", "dev", fmt.Sprintf("r%d%s", s.octet, place), "nodad")
		s.in(place, "ip", "addr", "add", mine(2)+"/64", "dev", fmt.Sprintf("d%d%s", s.octet, place), "nodad")
		s.in(place, "ip", "-6", "route", "add", "default", "via", mine(1))
	}
	s.in("aws", "sysctl", "-qw", "net.ipv6.ip_nonlocal_bind=1")
	s.in("aws", "ip", "route", "add", "local", "2001:db8:a::/64", "dev", "lo")
	s.in("router", "ip", "route", "add", "2001:db8:a::/64", "via", "2001:db8:f1::2")
}

// backend opens TLS servers on addresses, and returns them for addresses().
func (s *stage) backend(ips ...string) []string {
	for _, ip := range ips {
		place := "aws"
		switch {
		case strings.HasPrefix(ip, "198.51.100."):
			place = "gcp"
		case ip == evil:
			place = "azure"
		}
		s.backends[ip] = s.ca.backend(s.lab, place, ip, ip == evil)
	}
	return ips
}

// blackhole makes an upstream silent, and hear nothing.
func (s *stage) blackhole(ip string) { s.in("router", "ip", "route", "add", "blackhole", ip+"/32") }

// reach ends blackhole.
func (s *stage) reach(ip string) { s.in("router", "ip", "route", "del", "blackhole", ip+"/32") }

// guarded is a resolver under test, which may be ended and started again.
type guarded struct {
	*process
	s     *stage
	place string
	args  []string
	dir   string // of its state
}

// detour starts Detour with blocks; baselines starts the baseline with the same.
func (s *stage) detour(name string, blocks ...block) *guarded {
	g := &guarded{s: s, place: "res", dir: filepath.Join(s.dir, name, "state")}
	bin, err := kit.Binary()
	if err == nil {
		err = os.MkdirAll(g.dir, 0o700)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, name, "Corefile")
	s.write(path, blocks, func(b block) string { return b.ours(g.dir) })
	g.args = []string{"env", "SSL_CERT_FILE=" + s.ca.file, bin, "serve", "--config", path}
	g.process = s.start("res", g.args...)
	return g
}

func (s *stage) baseline(name string, blocks ...block) *guarded {
	path := filepath.Join(s.dir, name+"-stock.Corefile")
	s.write(path, blocks, block.stock)
	g := &guarded{s: s, place: stock, args: []string{s.stock, "-conf", path}}
	g.process = s.start(stock, g.args...)
	return g
}

func (s *stage) write(path string, blocks []block, text func(block) string) {
	var b strings.Builder
	for _, x := range blocks {
		b.WriteString(text(x))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (b block) ours(state string) string {
	cache := "cache 30"
	if b.uncached {
		cache = ""
	}
	return fmt.Sprintf(`%s:%s {
  errors
  %s
  guard %s {
    on nxdomain nodata servfail timeout %s
    proof auto
    keep %s
    ttl 15s
    state %s
  }
  forward . %s
}
`, b.zone, b.port, cache, strings.Join(b.names, " "), b.also, cmp.Or(b.keep, "proven 24h unproven 15m"), state, strings.Join(b.upstreams, " "))
}

func (b block) stock() string {
	return fmt.Sprintf("%s:%s {\n  errors\n  %s\n  forward . %s\n}\n", b.zone, b.port, baseline, strings.Join(b.upstreams, " "))
}

// kill ends the process as a crash would.
func (g *guarded) kill() {
	_ = g.cmd.Process.Kill() // "ip netns exec" has become it
	_ = g.cmd.Wait()
}

// again starts another process like it.
func (g *guarded) again() {
	before := g.out.String()
	g.process = g.s.start(g.place, g.args...)
	_, _ = g.out.Write([]byte(before))
}

// ready waits until there is an answer at a place and port.
func (s *stage) ready(place, port string) {
	s.t.Helper()
	s.eventually(20*time.Second, place+" answers at port "+port, func() bool { return s.one(place, port, "ready.example", dns.TypeA) != nil })
}

// one asks once, from the client's place.
func (s *stage) one(place, port, name string, qtype uint16) *dns.Msg {
	c, err := s.dialIn("client", "udp", net.JoinHostPort(s.of(place), port))
	if err != nil {
		return nil
	}
	defer c.Close() //nolint:errcheck // a query's socket
	_ = c.SetDeadline(time.Now().Add(patience))
	conn := &dns.Conn{Conn: c}
	if conn.WriteMsg(new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)) != nil {
		return nil
	}
	m, _ := conn.ReadMsg()
	return m
}

// play lets all scenes happen side by side for so many seconds, then judges them
// and prints the table.
func (s *stage) play(seconds int) {
	s.t.Helper()
	var steps []step
	s.began = time.Now().Add(time.Second)
	var wg sync.WaitGroup
	for i, sc := range s.scenes {
		sc.qtype, sc.port = cmp.Or(sc.qtype, dns.TypeA), cmp.Or(sc.port, "53")
		steps = append(steps, sc.steps...)
		first := s.began.Add(100*time.Millisecond + time.Duration(i)*800*time.Millisecond/time.Duration(len(s.scenes)))
		sc.mine = s.watch(&wg, "res", sc, first, seconds)
		if !sc.alone {
			sc.them = s.watch(&wg, stock, sc, first, seconds)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at - b.at })
	for _, x := range steps {
		<-time.After(time.Until(s.began.Add(time.Duration(x.at) * time.Second)))
		x.do()
	}
	wg.Wait()
	s.t.Log("what a client saw each second: G good address, N negative, F failure, T no reply in 2 s, H hijacker's address, S dead address\n" + s.table())
	for _, sc := range s.scenes {
		v := &verdict{t: s.t, id: strings.TrimSpace(sc.id + " " + sc.what), row: sc.mine}
		v.shape()
		sc.judge(v)
	}
}

// watch asks for a scene's name at a place, a question a second.
func (s *stage) watch(wg *sync.WaitGroup, place string, sc *scene, first time.Time, seconds int) *stub {
	r := &stub{name: sc.name, qtype: sc.qtype, fact: sc.now}
	c, err := s.dialIn("client", "udp", net.JoinHostPort(s.of(place), sc.port))
	if err != nil {
		s.t.Fatal(err)
	}
	wg.Go(func() { r.run(c, first, seconds) })
	return r
}

// table is what everybody saw.
func (s *stage) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\t\ttype\tours\tbaseline")
	for _, sc := range s.scenes {
		them := "-"
		if sc.them != nil {
			them = short(sc.them.letters())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", sc.id, sc.what, dns.TypeToString[sc.qtype], short(sc.mine.letters()), them)
	}
	_ = w.Flush()
	return b.String()
}
