package prober

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/test/kit"
)

// brief is the timeout where silence is expected: a quarter of it is what a busy
// machine may be late.
const brief = 800 * time.Millisecond

// serve handles every connection to a new loopback listener.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				handle(c)
			}()
		}
	}()
	return addrPort(l.Addr())
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// hold reads and says nothing until the other side leaves.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// reset makes the close of a connection a reset.
func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// closedPort returns a port on which nothing listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := addrPort(l.Addr())
	_ = l.Close()
	return to
}

func newProber(t *testing.T, s Spec, env Env) Prober {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout, s.Attempts = 2*time.Second, 3
	}
	p, err := New(s, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// want probes once and compares the cause.
func want(t *testing.T, s Spec, host string, to netip.AddrPort, cause health.Cause) health.Result {
	t.Helper()
	r := newProber(t, s, Env{}).Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port(), Host: host})
	if r.Cause != cause {
		t.Fatalf("cause %s (%s), want %s", r.Cause, r.Detail, cause)
	}
	if answered := cause.OK() || cause.Answered(); answered != (r.Latency > 0) {
		t.Errorf("cause %s has latency %s", cause, r.Latency)
	}
	if !cause.OK() && r.Detail == "" {
		t.Errorf("cause %s has no detail", cause)
	}
	last := time.Duration(0)
	for _, s := range r.Steps {
		if s.At < last {
			t.Errorf("steps out of order: %v", r.Steps)
		}
		last = s.At
	}
	return r
}

// names returns the names of a result's steps.
func names(r health.Result) string {
	s := ""
	for _, step := range r.Steps {
		s += step.Name + " "
	}
	return s
}

// authority signs certificates for tests.
type authority struct {
	*kit.Authority
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{kit.NewAuthority(t), filepath.Join(t.TempDir(), "ca.pem")}
	a.Write(t, a.file)
	return a
}

// issue returns a certificate for a name and for 127.0.0.1 that ends at end.
func (a *authority) issue(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	return a.Issue(t, kit.Leaf{Names: []string{name}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Ends: end})
}

// quiet is a log that nobody reads.
var quiet = log.New(io.Discard, "", 0)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// leftNothing waits until there are no more goroutines than before; those of the
// far sides need a moment to end.
func leftNothing(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
