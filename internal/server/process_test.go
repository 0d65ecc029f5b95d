package server

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a resolver in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *logBuffer
	done chan error
}

// spawn starts one in dir. env is asResolver or asFile with its value, and more.
func spawn(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	p := &process{t: t, out: &logBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("output:\n%s", p.out)
		}
	})
	wait(t, time.Minute, "the start", func() bool { return p.says(" serves ") })
	return p
}

func (p *process) says(word string) bool { return strings.Contains(p.out.String(), word) }

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// code waits for the end and returns the exit code.
func (p *process) code() int {
	p.t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	select {
	case err := <-p.done:
		p.done <- err
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-timeout.C:
		p.t.Fatal("it did not end")
		return -1
	}
}

func TestSignalsReload(t *testing.T) {
	port := freePort(t)
	addr := "127.0.0.1:" + port
	path := write(t, says(port, "one", "reload 2s 0s"))
	p := spawn(t, t.TempDir(), asFile+"="+path)
	for _, tt := range []struct {
		signal os.Signal
		word   string
	}{{syscall.SIGHUP, "two"}, {syscall.SIGUSR1, "three"}, {syscall.SIGHUP, "four"}} {
		rewrite(t, path, says(port, tt.word, "reload 2s 0s"))
		p.signal(tt.signal)
		wait(t, wait10, tt.word, func() bool { return txt("udp", addr) == tt.word })
	}
	rewrite(t, path, says(port, "five", "forwrd .\nforward"))
	p.signal(syscall.SIGUSR1)
	wait(t, wait10, "both faults", func() bool { return p.says("has 2 faults; what was in use stays in use") })
	if got := txt("tcp", addr); got != "four" {
		t.Errorf("with a bad Corefile: %s", got)
	}
	// After SIGUSR1, the automatic reload of stock CoreDNS is dead.
	rewrite(t, path, says(port, "six", "reload 2s 0s"))
	wait(t, wait10, "six, without a signal", func() bool { return txt("udp", addr) == "six" })
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// A second SIGTERM ends a stop that takes its time.
func TestSecondSignalForces(t *testing.T) {
	p := spawn(t, t.TempDir(), asResolver+"="+says(freePort(t), "one", "health 127.0.0.1:0 {\n lameduck 1m\n }"))
	p.signal(syscall.SIGINT)
	wait(t, wait10, "lameduck", func() bool { return p.says("lameduck") })
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// A file named Corefile in the working folder is not ours. Stock `reload`, in a
// program that embeds CoreDNS, takes it into use at its first turn.
func TestForeignCorefile(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for turns of reload")
	}
	dir, port, foreign := t.TempDir(), freePort(t), freePort(t)
	addr := "127.0.0.1:" + port
	p := spawn(t, dir, asResolver+"="+says(port, "ours", "reload 2s 0s"))
	rewrite(t, filepath.Join(dir, "Corefile"), says(foreign, "foreign", ""))
	check := func() {
		t.Helper()
		if got := txt("udp", addr); got != "ours" {
			t.Fatalf("answers %s", got)
		}
		if got := txt("udp", "127.0.0.1:"+foreign); got == "foreign" {
			t.Fatal("serves the foreign Corefile")
		}
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			check()
		case <-deadline.C:
			waiting = false
		}
	}
	if p.says("Reloading") {
		t.Error("it reloaded")
	}
	p.signal(syscall.SIGUSR1)
	wait(t, wait10, "the reload", func() bool { return p.says("Reloaded " + builtIn) })
	check()
}
