package prober

import (
	"bufio"
	"net"
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

// runSink accepts and closes until its standard input ends.
func runSink() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(l.Addr().String() + "\n")
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

func startSink(tb testing.TB) netip.AddrPort {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PROBER_TEST_SINK=1")
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

// BenchmarkTCPProbe measures one passing tcp probe on loopback. What counts is
// cpu-ns/op: 20,000 checks every 10 s are 2,000 probes a second, and 15 % of a
// core is 75,000 ns for each, scheduler and engine included. The kernel's half
// of loopback's far side (SYN, ACK) is in it.
func BenchmarkTCPProbe(b *testing.B) {
	to := startSink(b)
	p, err := New(Spec{Type: "tcp", Timeout: 2 * time.Second, Attempts: 3}, Env{})
	if err != nil {
		b.Fatal(err)
	}
	t := Target{Addr: to.Addr(), Port: to.Port()}
	b.ReportAllocs()
	before := cpu()
	for b.Loop() {
		if r := p.Probe(b.Context(), t); !r.Cause.OK() {
			b.Fatal(r)
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}
