package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// What 12,000 checks need is 75 MB while they are reloaded; the garbage of reloads
// doubles that, to 165 MB. The limit is between, so far from both that a busy machine,
// where the collector falls behind, decides nothing.
const (
	containerMB       = 130
	containerServices = 4000
)

// container makes a group of processes that may use so much memory, or skips the
// test. It returns the file that takes its processes.
func container(t *testing.T, mb int) (procs string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skipf("needs control groups: %v", err)
	}
	dir, limit := "", ""
	for line := range strings.Lines(string(own)) {
		switch _, kind, _ := strings.Cut(strings.TrimSpace(line), ":"); {
		case strings.HasPrefix(kind, "memory:"):
			dir, limit = filepath.Join("/sys/fs/cgroup/memory", strings.TrimPrefix(kind, "memory:")), "memory.limit_in_bytes"
		case strings.HasPrefix(kind, ":") && dir == "":
			dir, limit = filepath.Join("/sys/fs/cgroup", kind[1:]), "memory.max"
		}
	}
	dir = filepath.Join(dir, fmt.Sprintf("detour-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skipf("needs to make a control group: %v", err)
	}
	t.Cleanup(func() {
		if err := kit.Every(50*time.Millisecond, 10*time.Second, func() bool { return os.Remove(dir) == nil }); err != nil {
			t.Errorf("%s stays: %v", dir, err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, limit), fmt.Append(nil, mb<<20), 0o600); err != nil {
		t.Skipf("needs the controller of memory: %v", err)
	}
	// Where there is swap it must not stand in for memory: 0 is none of it for
	// version 2; version 1 counts both, and lacks the file where swap is not counted.
	for file, bytes := range map[string]int{"memory.swap.max": 0, "memory.memsw.limit_in_bytes": mb << 20} {
		if f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0); err == nil {
			_, _ = fmt.Fprint(f, bytes)
			_ = f.Close()
		}
	}
	return filepath.Join(dir, "cgroup.procs")
}

// TestAReloadInASmallContainer: a resolver that has enough memory is not killed for
// the garbage of reloads. That it is without the limit's minding shows that the
// container is small enough for this test.
func TestAReloadInASmallContainer(t *testing.T) {
	procs := container(t, containerMB)
	if why := reloadsIn(t, procs, "AUTOMEMLIMIT=off"); why != syscall.SIGKILL {
		t.Errorf("without minding the limit it ended by %v, want it killed: the test shows nothing", why)
	}
	if why := reloadsIn(t, procs); why != syscall.SIGTERM {
		t.Errorf("it ended by %v", why)
	}
}

// reloadsIn runs a resolver of many services in a container, changes its
// failover.yaml a few times, and ends it. It returns the signal that did so.
func reloadsIn(t *testing.T, procs string, env ...string) syscall.Signal {
	t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: t.TempDir(), port: kit.FreePort(t), group: procs}
	p.write("Corefile", ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n")
	p.write("failover.yaml", crowded(0))
	p.spawn(bin, env...)
	ended := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-ended })
	gone := func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
	p.within(time.Minute, "it serves", func() bool { return gone() || strings.Contains(p.out.String(), " serves ") })
	for i := range 5 {
		p.write("failover.yaml", crowded(i+1))
		p.within(time.Minute, "the change is read", func() bool {
			return gone() || strings.Count(p.out.String(), "configuration reloaded") > i
		})
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-ended
	if s := p.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() { //nolint:forcetypeassert // on every Unix
		return s.Signal()
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with code %d:\n%s", code, p.out.String())
	}
	if m := p.out.String(); len(env) == 0 && !strings.Contains(m, "Memory is collected to stay below 117 MB") {
		t.Errorf("it does not say what it minds:\n%s", m)
	}
	return syscall.SIGTERM
}

// crowded is a failover.yaml with thousands of services.
func crowded(edit int) string {
	var out strings.Builder
	fmt.Fprintf(&out, `# %d
probes: {allow_targets: [127.0.0.0/8]}
admin: {listen: "off"}
state: {dir: DIR/state}
monitors: {web: {type: tcp, port: 9, interval: 1h}}
services:
`, edit)
	for i := range containerServices {
		a, b := i>>8, i&255
		fmt.Fprintf(&out, "  s%04d.example.org: {monitors: [web], pools: [{aws/us-east-1: [127.1.%d.%d]}, {azure/westeurope: [127.2.%d.%d]}, {gcp/europe-west1: [127.3.%d.%d]}]}\n",
			i, a, b, a, b, a, b)
	}
	return out.String()
}
