package prober

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// ownNetwork moves the test into a network namespace with one router, or skips
// it. The goroutine's thread ends with the test. Attempts after the first run on
// other threads, in the old network: use one attempt.
//
//	10.9.0.1 (the test) --- 10.9.0.2 (a router) --- nothing
func ownNetwork(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	router := exec.CommandContext(t.Context(), "unshare", "-n", "sleep", "60")
	router.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := router.Start(); err != nil {
		t.Skipf("no unshare here: %v", err)
	}
	t.Cleanup(func() { _ = router.Process.Kill(); _ = router.Wait() })
	pid := fmt.Sprint(router.Process.Pid)
	awaitNamespace(t, pid)
	there := "nsenter -t " + pid + " -n "
	for _, line := range []string{
		"ip link set lo up",
		"ip link add v0 type veth peer name v1 netns " + pid,
		"ip addr add 10.9.0.1/24 dev v0",
		"ip link set v0 up",
		there + "ip addr add 10.9.0.2/24 dev v1",
		there + "ip link set v1 up",
		there + "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0",
		there + "ip route add unreachable 192.0.2.0/24",
		there + "ip route add prohibit 198.51.100.0/24",
		there + "ip route add blackhole 203.0.113.0/24",
		"ip route add 192.0.2.0/24 via 10.9.0.2",
		"ip route add 198.51.100.0/24 via 10.9.0.2",
		"ip route add 203.0.113.0/24 via 10.9.0.2",
		"ip route add 100.64.0.0/24 via 10.9.0.2", // the router knows no way
		"ip route add unreachable 10.1.0.0/24",
		"ip route add prohibit 10.2.0.0/24",
		"ip route add blackhole 10.3.0.0/24",
	} {
		args := strings.Fields(line)
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", line, err, out)
		}
	}
}

// awaitNamespace waits until a process has a network of its own.
func awaitNamespace(t *testing.T, pid string) {
	t.Helper()
	ours, _ := os.Readlink("/proc/thread-self/ns/net")
	start, _ := os.Readlink("/proc/self/ns/net")
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if its, _ := os.Readlink("/proc/" + pid + "/ns/net"); its != "" && its != ours && its != start {
			return
		}
	}
	t.Skip("the router's namespace did not come")
}

// Our own routing table is a local fault; what a router says is not. Routers say
// it five times and then once a second, so those targets are probed five times.
func TestRoutes(t *testing.T) {
	ownNetwork(t)
	const all = "tcp https dns icmp"
	for _, tc := range []struct {
		to, kinds string
		cause     health.Cause
	}{
		{"192.0.2.1", "tcp dns icmp", health.CauseUnreachable},
		{"198.51.100.1", "https", health.CauseUnreachable},
		{"100.64.0.1", "tcp", health.CauseUnreachable},
		{"203.0.113.1", all, health.CauseTimeout},
		{"10.9.0.2", "tcp https dns", health.CauseRefused},
		{"10.9.0.2", "icmp", health.CauseNone},
		{"10.1.0.1", all, health.CauseNoRoute},
		{"10.2.0.1", all, health.CausePermission},
		{"10.3.0.1", all, health.CauseNoRoute},
		{"10.4.0.1", all, health.CauseNoRoute},
		{"2001:db8::1", all, health.CauseNoRoute},
	} {
		for kind := range strings.FieldsSeq(tc.kinds) {
			p := newProber(t, Spec{Type: kind, Timeout: brief, Attempts: 1}, Env{})
			r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr(tc.to), Port: 443})
			if r.Cause != tc.cause {
				t.Errorf("%s to %s: cause %s (%s), want %s", kind, tc.to, r.Cause, r.Detail, tc.cause)
			}
		}
	}
}

// Without free local ports no endpoint is down.
func TestNoPorts(t *testing.T) {
	ownNetwork(t)
	if out, err := exec.CommandContext(t.Context(), "sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40001").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	to := netip.MustParseAddrPort("203.0.113.1:443")
	for range 2 {
		s, err := startConnect(to)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
	}
	for _, kind := range []string{"tcp", "https"} {
		p := newProber(t, Spec{Type: kind, Attempts: 1, Timeout: brief}, Env{})
		if r := p.Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port()}); r.Cause != health.CausePorts {
			t.Errorf("%s: cause %s (%s), want %s", kind, r.Cause, r.Detail, health.CausePorts)
		}
	}
}
