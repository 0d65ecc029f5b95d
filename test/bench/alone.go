package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// alone runs a part in a network namespace that is made for it and removed after
// it: 20,000 backends on loopback, and a third of them silent, concern nobody else.
// Without the rights to do so the part is left out, and the table says so.
func (b *bench) alone(p part) error {
	if _, err := exec.LookPath("nft"); os.Getuid() != 0 || err != nil {
		b.rows = append(b.rows, row{ID: "P4-P7", What: p.name + ": left out, needs root, iproute2 and nftables", Met: true})
		return nil
	}
	if err := b.build(); err != nil {
		return err
	}
	ns := "detour-bench-" + strconv.Itoa(os.Getpid())
	if err := run("ip", "netns", "add", ns); err != nil {
		return err
	}
	defer run("ip", "netns", "delete", ns) //nolint:errcheck // it was made above
	if err := run("ip", "-n", ns, "link", "set", "lo", "up"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return b.collect(exec.Command("ip", "netns", "exec", ns, self, "-inside", p.name, "-resolver", b.ours, "-coredns", b.stock,
		"-reloads", strconv.Itoa(b.reloads)))
}

// apart runs a part in a process of its own.
func (b *bench) apart(p part) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return b.collect(exec.Command(self, "-inside", p.name, "-consul", b.consul))
}

// collect runs a part in another process and takes its rows.
func (b *bench) collect(cmd *exec.Cmd) error {
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return err
	}
	var rows []row
	if err := json.Unmarshal(text, &rows); err != nil {
		return err
	}
	b.rows = append(b.rows, rows...)
	return nil
}

// descriptors is what a server of 20,000 checks should be given (LimitNOFILE): 8,000
// probes may be in flight, each has up to three connections, and half is for queries.
const descriptors = 48_000

// allow raises the limit of file descriptors, also for the servers that are started,
// and returns how many attempts a probe may have under what the machine permits.
func allow() (attempts int) {
	limit := syscall.Rlimit{Cur: descriptors, Max: descriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		return 3
	}
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if limit.Cur >= descriptors {
		return 3
	}
	fmt.Fprintf(os.Stderr, "only %d file descriptors: probes of P4 have one attempt\n", limit.Cur)
	return 1
}

// runInside is the other side of collect: it prints its rows as JSON.
func (b *bench) runInside() error {
	for _, p := range parts() {
		if p.name != b.inside {
			continue
		}
		if err := p.run(b); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(b.rows)
	}
	return errors.New("no part " + b.inside)
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, bytes.TrimSpace(out))
	}
	return nil
}
