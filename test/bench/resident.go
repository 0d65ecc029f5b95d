package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// busy is the rate of queries a second at which memory is compared.
const busy = 60_000

// resident compares the resident memory of a resolver of one service with stock
// CoreDNS's, which serves the same name from a file, after five seconds of load (P11).
// Both are started anew for each of three pairs: what a process took it keeps for
// a while.
func (b *bench) resident() error {
	if err := b.prepare(); err != nil {
		return err
	}
	if err := b.writeOne(); err != nil {
		return err
	}
	rate, length := b.rate, b.run
	defer func() { b.rate, b.run = rate, length }()
	b.rate, b.run = busy, 5*time.Second
	fresh := map[string]string{b.ours: filepath.Join(b.dir, "resident-ours"), b.stock: filepath.Join(b.dir, "resident-stock")}
	for from, to := range fresh { // how the kernel holds a file, and so how much of it is resident, depends on how it came to the disk
		if err := clone(from, to); err != nil {
			return err
		}
	}
	a := server{bin: fresh[b.ours], args: serveArgs, port: 5301, block: ". {\n  bind 127.0.0.1\n  failover " + b.dir + "/one.yaml\n}\n"}
	o := server{bin: fresh[b.stock], args: stockArgs, port: 5302, block: "bench.test {\n  bind 127.0.0.1\n  file " + b.dir + "/one.db\n}\n"}
	var ours, stock, ratios, cpus []float64
	for range 3 {
		x, cx, err := b.loaded(&a)
		if err != nil {
			return err
		}
		y, cy, err := b.loaded(&o)
		if err != nil {
			return err
		}
		ours, stock, ratios, cpus = append(ours, x), append(stock, y), append(ratios, x/y), append(cpus, cx/cy)
	}
	slices.Sort(ratios)
	slices.Sort(cpus)
	r := median(ratios)
	b.rows = append(b.rows, row{
		ID: "P11", What: fmt.Sprintf("resident memory, one service, 5 s at %d queries/s", busy),
		Ours: fmt.Sprintf("%.0f MB", median(ours)), Other: fmt.Sprintf("%.0f MB (stock file)", median(stock)),
		Ratio: fmt.Sprintf("%.2f, processor time %.2f", r, median(cpus)), Target: "<= 1.30", Met: r <= 1.30,
	})
	return nil
}

// clone copies a program.
func clone(from, to string) error {
	data, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o700) // #nosec G306 -- it is run
}

// loaded starts a server, loads it, and returns its resident memory in MB and the
// processor time of an answer in microseconds.
func (b *bench) loaded(s *server) (mb, us float64, err error) {
	if err := s.start(b.dir); err != nil {
		return 0, 0, err
	}
	defer s.stop()
	if us, err = s.load(b, "one.txt"); err != nil {
		return 0, 0, err
	}
	return memory(s.cmd.Process.Pid), us, nil
}

// writeOne writes the zone, failover.yaml and queries of one service.
func (b *bench) writeOne() error {
	for name, text := range map[string]string{
		"one.txt": "s.bench.test A\n",
		"one.db": "$ORIGIN bench.test.\n@ 3600 IN SOA ns1 host 1 7200 1800 86400 30\n@ 3600 IN NS ns1\nns1 3600 IN A 127.0.0.1\n" +
			"s 30 IN A 127.1.0.1\ns 30 IN A 127.2.0.1\n",
		"one.yaml": "monitors:\n  web: {type: tcp, port: 9, interval: 1h, timeout: 1s}\nprobes: {allow_targets: [127.0.0.0/8]}\n" +
			"admin: {listen: \"off\"}\nstate: {dir: " + b.dir + "/state1}\nservices:\n" +
			"  s.bench.test: {monitors: [web], pools: [{aws/us-east-1: [127.1.0.1, 127.2.0.1]}, {gcp/europe-west1: [127.3.0.1]}]}\n",
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
