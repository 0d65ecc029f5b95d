package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// profiled is how long our server is watched. Most samples fall on the same few
// calls: longer makes the file larger and the build no better.
const profiled = 30 * time.Second

// profile writes a CPU profile of our server at what most servers do: answers of
// our own and answers from below, both with metrics on, and probes meanwhile.
func (b *bench) profile(to string) error {
	if err := b.prepareProfile(); err != nil {
		return err
	}
	back, err := startBackends()
	if err != nil {
		return err
	}
	defer back.close()
	path, err := b.services("profile", names, fmt.Sprintf("monitors: {web: {type: tcp, port: %d, interval: 10s}}", back.port),
		"aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	s := server{bin: b.ours, args: serveArgs, port: 5301, block: ". {\n  bind 127.0.0.1\n  errors\n  prometheus 127.0.0.1:9301\n  pprof 127.0.0.1:9303\n" +
		"  failover " + path + "\n  file " + b.dir + "/other.db other.test\n}\n"}
	if err := s.spawn(b.dir); err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(15 * time.Second) // the first round of probes is no steady work
	b.run = profiled + 2*time.Second
	var loads []*exec.Cmd
	for queries, rate := range map[string]int{"ours.txt": 15_000, "others.txt": 5_000} {
		c := exec.Command("taskset", "-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", strconv.Itoa(s.port),
			"-d", filepath.Join(b.dir, queries), "-l", strconv.Itoa(int(b.run.Seconds())), "-Q", strconv.Itoa(rate), "-c", "8", "-q", "400")
		if err := c.Start(); err != nil {
			return err
		}
		loads = append(loads, c)
	}
	err = fetch(fmt.Sprintf("http://127.0.0.1:9303/debug/pprof/profile?seconds=%d", int(profiled.Seconds())), to)
	for _, c := range loads {
		_ = c.Wait()
	}
	return err
}

// prepareProfile builds without the profile that is to be replaced, so that it does
// not describe its own effects.
func (b *bench) prepareProfile() error {
	b.ours = filepath.Join(b.dir, "resolver")
	build := exec.Command("go", "build", "-pgo=off", "-trimpath", "-o", b.ours, "./cmd/resolver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return b.write()
}

func fetch(url, to string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return os.WriteFile(filepath.Clean(to), text, 0o644) //nolint:gosec // committed
}
