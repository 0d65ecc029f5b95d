package lab

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// config is the example for three clouds, with the lab's addresses and short times.
func (l *lab) config(timing, failback string) string {
	return fmt.Sprintf(`version: 1
monitors:
  web: {type: http, port: 80, path: /healthz, %s}
services:
  shop.example.org:
    monitors: [web]
    pools:
      - aws/us-east-1:    [%s]
      - gcp/europe-west1: [%s]
      - azure/westeurope: [%s]
defaults:
  ttl: {settled: 5s, changing: 1s}
  hold_down: {step: 2s}
  failback: %s
state: {dir: %s}
admin: {listen: "unix://%s"}
`, timing, l.of("aws"), l.of("gcp"), l.of("azure"), failback, filepath.Join(l.dir, "state"), filepath.Join(l.dir, "admin.sock"))
}

const port = "1053"

// resolver starts the command in its namespace and waits until it answers.
func (l *lab) resolver(yaml string) *process {
	l.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		l.t.Fatal(err)
	}
	for name, text := range map[string]string{
		"failover.yaml": yaml,
		"Corefile":      ".:" + port + " {\n  errors\n  failover " + filepath.Join(l.dir, "failover.yaml") + "\n  cache 30\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	p := l.start("res", bin, "serve", "--config", filepath.Join(l.dir, "Corefile"))
	l.eventually(15*time.Second, "the resolver answers", func() bool { return l.ask() != "" })
	return p
}

// ask returns the region that one answer leads to, "" if there was none.
func (l *lab) ask() string { return l.askAt("res") }

// askAt is ask for the resolver in a place.
func (l *lab) askAt(place string) string { return l.askFor(place, "shop.example.org.") }

// askFor is askAt for any name.
func (l *lab) askFor(place, name string) string {
	at, err := l.answerFor(place, name)
	if err != nil {
		return ""
	}
	return at
}

// answerFor is askFor that says what came instead of an answer.
func (l *lab) answerFor(place, name string) (string, error) {
	m, err := l.query(place, name, dns.TypeA)
	if err != nil {
		return "", err
	}
	if len(m.Answer) == 0 {
		return "", fmt.Errorf("%s and no records", dns.RcodeToString[m.Rcode])
	}
	a, ok := m.Answer[0].(*dns.A)
	if !ok {
		return "", fmt.Errorf("no address: %s", m.Answer[0])
	}
	for _, p := range l.places {
		if l.of(p) == a.A.String() {
			return p, nil
		}
	}
	return a.A.String(), nil
}

func (l *lab) query(place, name string, t uint16) (*dns.Msg, error) {
	c, err := l.dialIn(place, "udp", net.JoinHostPort(l.of(place), port))
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // a query's socket
	r := new(dns.Msg).SetQuestion(name, t)
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if err := (&dns.Conn{Conn: c}).WriteMsg(r); err != nil {
		return nil, err
	}
	return (&dns.Conn{Conn: c}).ReadMsg()
}

// share returns how many of n answers lead to a place, in percent.
func (l *lab) share(place string, n int) int {
	hits := 0
	for range n {
		if l.ask() == place {
			hits++
		}
	}
	return hits * 100 / n
}

func (l *lab) eventually(limit time.Duration, what string, f func() bool) {
	l.t.Helper()
	if err := kit.Every(50*time.Millisecond, limit, f); err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
}

// within waits until all answers lead to a place and returns how long it took.
func (l *lab) within(limit time.Duration, place string) time.Duration {
	l.t.Helper()
	start := time.Now()
	l.eventually(limit, "answers lead to "+place, func() bool { return l.ask() == place })
	return time.Since(start)
}

// TestFailover is the product's promise, end to end: a region goes silent and is
// out of the answers within the bound that `check` prints; with all of them dark
// the answers are as if all were healthy; and the first comes back by failback
// and ramp.
func TestFailover(t *testing.T) {
	l := newLab(t)
	t.Parallel()
	for _, p := range []string{"aws", "gcp", "azure"} {
		l.backend(p)
	}
	res := l.resolver(l.config("interval: 1s, timeout: 1s", "{after: 4s, ramp: [10, 50, 100], step: 4s}"))
	defer func() {
		if t.Failed() {
			t.Logf("the resolver said:\n%s", res.out.String())
		}
	}()
	const bound = 4300*time.Millisecond + 700*time.Millisecond // what check prints, and what a busy machine may add
	l.within(5*time.Second, "aws")
	l.clients()

	l.dark("aws")
	took := l.within(10*time.Second, "gcp")
	t.Logf("the silent region was out of the answers after %v", took)
	if took > bound {
		t.Errorf("answers moved after %v, the bound is %v", took, bound)
	}
	l.dark("gcp")
	if took := l.within(10*time.Second, "azure"); took > bound {
		t.Errorf("answers moved on after %v, the bound is %v", took, bound)
	}
	l.dark("azure")
	if took := l.within(10*time.Second, "aws"); took > bound {
		t.Errorf("with all dark, answers were as if all were healthy only after %v", took)
	}
	for _, p := range []string{"aws", "gcp", "azure"} {
		l.light(p)
	}
	l.returns()
}

// clients asks with the programs that people use.
func (l *lab) clients() {
	l.t.Helper()
	at := "@" + l.of("res")
	if out := l.in("res", "dig", at, "-p", port, "shop.example.org", "+short"); strings.TrimSpace(out) != l.of("aws") {
		l.t.Errorf("dig says %q", out)
	}
	if out := l.in("res", "kdig", at, "-p", port, "+tcp", "+short", "shop.example.org"); strings.TrimSpace(out) != l.of("aws") {
		l.t.Errorf("kdig over TCP says %q", out)
	}
	if out := l.in("res", "kdig", at, "-p", port, "shop.example.org", "AAAA"); !strings.Contains(out, "NOERROR") || !strings.Contains(out, "SOA") {
		l.t.Errorf("kdig AAAA says %q, want NODATA with a SOA", out)
	}
}

// returns watches a region come back. All were dark, so the first that proves
// itself takes everything at once; then the region before it returns by ramp.
func (l *lab) returns() {
	l.t.Helper()
	l.eventually(60*time.Second, "aws has everything", func() bool { return l.share("aws", 30) == 100 })
	l.dark("aws")
	l.within(10*time.Second, "gcp")
	l.light("aws")
	start := time.Now()
	steps := map[string]time.Duration{}
	l.eventually(60*time.Second, "aws takes all again", func() bool {
		s := l.share("aws", 60)
		for name, in := range map[string]bool{"first": s > 0, "half": s > 30, "all": s == 100} {
			if _, seen := steps[name]; in && !seen {
				steps[name] = time.Since(start)
			}
		}
		return s == 100
	})
	l.t.Logf("back: first clients after %v, half after %v, all after %v", steps["first"], steps["half"], steps["all"])
	if steps["first"] < 4*time.Second {
		l.t.Errorf("the first clients returned after %v, before the failback time", steps["first"])
	}
	if steps["half"]-steps["first"] < 2*time.Second || steps["all"]-steps["half"] < 2*time.Second {
		l.t.Errorf("there was no ramp: %v", steps)
	}
}

// TestLossIsNoFailure: one packet in five is lost on the way to every region and
// back, for ten minutes. Nothing moves.
func TestLossIsNoFailure(t *testing.T) {
	l := newLab(t)
	t.Parallel()
	length := 10 * time.Minute
	if testing.Short() {
		length = 20 * time.Second
	}
	for _, p := range []string{"aws", "gcp", "azure"} {
		l.backend(p)
	}
	res := l.resolver(l.config("interval: 5s, timeout: 2s", "{after: 5m}"))
	l.within(5*time.Second, "aws")
	l.lose(20)
	err := kit.Every(time.Second, length, func() bool { return l.ask() != "aws" })
	if err == nil {
		t.Errorf("an answer led elsewhere\n%s", res.out.String())
	}
	if n := strings.Count(res.out.String(), "service moved"); n > 0 {
		t.Errorf("%d moves under 20 %% loss\n%s", n, res.out.String())
	}
}
