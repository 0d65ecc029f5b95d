package prober

import (
	"bufio"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the far side of a benchmark: in a process of
// its own, so that its work is not counted as the probe's.
func TestMain(m *testing.M) {
	if os.Getenv("PROBER_TEST_SINK") != "" {
		runSink()
		return
	}
	os.Exit(m.Run())
}

// runSink accepts and closes, or serves HTTPS, until its standard input ends.
func runSink() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if os.Getenv("PROBER_TEST_SINK") == "https" {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		_ = s.Listener.Close()
		s.Listener = l
		s.StartTLS()
	}
	_, _ = os.Stdout.WriteString(l.Addr().String() + "\n")
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	if os.Getenv("PROBER_TEST_SINK") == "https" {
		select {}
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

func startSink(tb testing.TB, kind string) netip.AddrPort {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PROBER_TEST_SINK="+kind)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return netip.MustParseAddrPort(strings.TrimSpace(line))
}

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmark(b *testing.B, s Spec, host string) {
	to := startSink(b, s.Type)
	s.Timeout, s.Attempts = 2*time.Second, 3
	p, err := New(s, Env{Roots: exampleRoots(b)})
	if err != nil {
		b.Fatal(err)
	}
	t := Target{Addr: to.Addr(), Port: to.Port(), Host: host}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if r := p.Probe(b.Context(), t); !r.Cause.OK() {
			b.Fatal(r)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

// exampleRoots trusts the certificate of package httptest.
func exampleRoots(tb testing.TB) *x509.CertPool {
	tb.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// BenchmarkTCPProbe measures one passing tcp probe on loopback. What counts is
// cpu-ns/op: 20,000 checks every 10 s are 2,000 probes a second, and 15 % of a
// core is 75,000 ns for each, scheduler and engine included. The kernel's half
// of loopback's far side (SYN, ACK) is in it.
func BenchmarkTCPProbe(b *testing.B) { benchmark(b, Spec{Type: "tcp"}, "") }

// BenchmarkHTTPSProbe measures one passing https probe: 1,000 checks every 5 s at
// 25 % of a core are 1,250,000 ns of processor time for each.
func BenchmarkHTTPSProbe(b *testing.B) {
	benchmark(b, Spec{Type: "https", Path: "/healthz", Verify: true}, "example.com")
}
