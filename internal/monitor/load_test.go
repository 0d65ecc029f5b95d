package monitor

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/prober"
)

// TestMain lets the test binary be the far side of the load: in a process of its
// own, so that its work is not counted.
func TestMain(m *testing.M) {
	if os.Getenv("MONITOR_TEST_SINK") != "" {
		runSink()
		return
	}
	os.Exit(m.Run())
}

// runSink accepts and closes until its standard input ends.
func runSink() {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
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

func startSink(b *testing.B) uint16 {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "MONITOR_TEST_SINK=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(line), 10, 16)
	if err != nil {
		b.Fatal(err)
	}
	return uint16(port)
}

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss returns the memory that this process has, in MB.
func rss() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// load runs 20,000 tcp checks every 10 s for 20 s; a third of them goes to
// silent, if that is valid. It reports percent of a core, MB, and by how much the
// latest probe of the others was late.
func load(b *testing.B, silent netip.Addr) {
	port := startSink(b)
	p, err := prober.New(prober.Spec{Type: "tcp", Timeout: 2 * time.Second, Attempts: 3}, prober.Env{})
	if err != nil {
		b.Fatal(err)
	}
	var checks []Check
	for i := range uint64(20000) {
		c := check(i, string(rune('a'+i%3)), p)
		c.Target = prober.Target{Addr: netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), Port: port}
		if i%3 == 0 && silent.IsValid() {
			c.Target.Addr = silent
		}
		checks = append(checks, c)
	}
	for b.Loop() {
		out := make(chan Report, 1024)
		m := New(Options{Out: out})
		m.Set(checks)
		gather(out, 2*time.Second) // the first round is not the steady state
		before := cpu()
		got := gather(out, 20*time.Second)
		used := cpu() - before
		late, failed := time.Duration(0), 0
		for id, rs := range got {
			if id%3 == 0 && silent.IsValid() {
				continue
			}
			for _, r := range rs {
				if !r.Result.Cause.OK() {
					failed++
				}
			}
			for _, d := range gaps(rs) {
				late = max(late, d-10*time.Second)
			}
		}
		b.ReportMetric(used.Seconds()/20*100, "%core")
		b.ReportMetric(rss(), "MB")
		b.ReportMetric(float64(late.Milliseconds()), "ms-late")
		b.ReportMetric(float64(failed), "failed")
		b.ReportMetric(float64(m.Stats().InFlight), "in-flight")
		m.Close()
	}
}

// BenchmarkTwentyThousand: at most 15 % of a core and 120 MB for the whole
// process.
func BenchmarkTwentyThousand(b *testing.B) { load(b, netip.Addr{}) }

// BenchmarkThirdSilent: at most 40 % of a core and 250 MB for the whole process,
// no other check late by more than 1 s. It wants an address that is silent: one
// from which no answer comes, such as a blackhole behind a router.
func BenchmarkThirdSilent(b *testing.B) {
	silent, err := netip.ParseAddr(os.Getenv("SILENT_ADDR"))
	if err != nil {
		b.Skip("set SILENT_ADDR to an address that does not answer")
	}
	load(b, silent)
}
