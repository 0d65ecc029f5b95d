package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// commands measures how long an operator waits: whole commands, from the start of
// the process to its end, against a resolver of 10,000 services whose 20,000 backends
// are probed as ever.
func (b *bench) commands() error {
	back, err := startBackends()
	if err != nil {
		return err
	}
	defer back.close()
	path, err := b.services("commands", names, fmt.Sprintf("monitors: {web: {type: tcp, port: %d}}", back.port), "aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	socket := "unix://" + filepath.Join(b.dir, "admin.sock")
	if err := listenOn(path, socket); err != nil {
		return err
	}
	s := &server{bin: b.ours, args: serveArgs, port: 5301, block: watchingBlock(path), free: true}
	if err := s.spawn(b.dir); err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(probeInterval + 5*time.Second) // the second round of probes is spread over the interval
	for _, c := range []struct {
		limit float64
		args  []string
	}{
		{20, []string{"explain", serviceName(names / 2)}},
		{200, []string{"status"}},
		{1000, []string{"simulate", "--down", "aws/us-east-1"}},
	} {
		if err := b.command(c.limit, socket, c.args...); err != nil {
			return err
		}
	}
	return nil
}

// listenOn gives the resolver of a services file an admin API.
func listenOn(path, socket string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = bytes.Replace(text, []byte(`listen: "off"`), []byte("listen: "+socket), 1)
	return os.WriteFile(path, text, 0o600)
}

// command runs one of ours again and again; its row is the median.
func (b *bench) command(limit float64, socket string, args ...string) error {
	var times []float64
	for range 41 {
		cmd := exec.Command(b.ours, append(args, "--admin", socket)...)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(start)
		if err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
		times = append(times, float64(took)/float64(time.Millisecond))
	}
	b.load("O1", args[0]+" as a whole command, 10,000 services", median(times), limit, "ms")
	return nil
}
