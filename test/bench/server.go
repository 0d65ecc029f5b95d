package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is one DNS server as a process on core 0.
type server struct {
	bin   string
	args  func(corefile string, port int) []string
	port  int
	block string // the first " {" gets the port
	free  bool   // runs on every core

	cmd *exec.Cmd
}

func serveArgs(corefile string, _ int) []string { return []string{"serve", "--config", corefile} }

func stockArgs(corefile string, port int) []string {
	return []string{"-conf", corefile, "-p", strconv.Itoa(port), "-quiet"}
}

// start runs the server and waits until it answers over TCP and has done what it
// does after a start.
func (s *server) start(dir string) error {
	if err := s.spawn(dir); err != nil {
		return err
	}
	return s.idle()
}

// spawn runs the server and waits until it answers over TCP.
func (s *server) spawn(dir string) error {
	at := fmt.Sprintf("127.0.0.1:%d", s.port)
	if c, err := net.Dial("tcp", at); err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is taken: is another bench running?", at)
	}
	corefile := filepath.Join(dir, fmt.Sprintf("Corefile.%d", s.port))
	block := strings.Replace(s.block, " {", ":"+strconv.Itoa(s.port)+" {", 1)
	if err := os.WriteFile(corefile, []byte(block), 0o600); err != nil {
		return err
	}
	log, err := os.Create(corefile + ".log")
	if err != nil {
		return err
	}
	if args := s.args(corefile, s.port); s.free {
		s.cmd = exec.Command(s.bin, args...)
	} else {
		s.cmd = exec.Command("taskset", append([]string{"-c", "0", s.bin}, args...)...)
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err == nil {
			_ = c.Close()
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(corefile + ".log")
	s.stop()
	return fmt.Errorf("%s does not listen on %d:\n%s", s.bin, s.port, text)
}

// idle waits until the server has done what it does after a start, the first
// round of probes say, so that only answering is measured. It does not wait for ever.
func (s *server) idle() error {
	for quiet, tries := 0, 0; quiet < 4 && tries < 60; tries++ {
		before, err := cpu(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
		after, err := cpu(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		quiet++
		if after-before > 10*time.Millisecond {
			quiet = 0
		}
	}
	return nil
}

func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// load sends queries from core 1 and returns CPU microseconds per answered query.
func (s *server) load(b *bench, queries string) (float64, error) {
	before, err := cpu(s.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	out, err := exec.Command("taskset", "-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", strconv.Itoa(s.port),
		"-d", filepath.Join(b.dir, queries), "-l", strconv.Itoa(int(b.run.Seconds())), "-Q", strconv.Itoa(b.rate),
		"-c", "8", "-q", "400").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	after, err := cpu(s.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	m := completed.FindSubmatch(out)
	if m == nil || !strings.Contains(string(out), "NOERROR") {
		return 0, fmt.Errorf("dnsperf says nothing of answers:\n%s", out[max(0, len(out)-600):])
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil || n == 0 {
		return 0, errors.New("no query was answered")
	}
	return float64((after - before).Microseconds()) / float64(n), nil
}

var completed = regexp.MustCompile(`Queries completed:\s+(\d+)`)

// cpu is the processor time of all threads of a process, user and system, from
// schedstat: nanoseconds, not ticks.
func cpu(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	var sum time.Duration
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum, nil
}

// memory is the resident memory of a process in megabytes.
func memory(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(kb)[0], 64)
			return n / 1024
		}
	}
	return 0
}
