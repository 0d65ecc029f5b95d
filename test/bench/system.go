package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// names is how many names both servers know.
const names = 10_000

// prepare looks for what comparisons need and writes what both servers read.
func (b *bench) prepare() error {
	for _, tool := range []string{"dnsperf", "taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed: apt-get install dnsperf util-linux", tool)
		}
	}
	if b.stock == "" {
		return fmt.Errorf("-coredns is needed: `make bench` builds it")
	}
	if err := b.build(); err != nil {
		return err
	}
	return b.write()
}

// build builds our binary as `make build` does, once.
func (b *bench) build() error {
	if b.ours != "" {
		return nil
	}
	b.ours = filepath.Join(b.dir, "resolver")
	build := exec.Command("go", "build", "-trimpath", "-o", b.ours, "./cmd/resolver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// write writes zones, failover.yaml and queries: the same names and addresses for
// both servers.
func (b *bench) write() error {
	var zone, yaml, ours, others strings.Builder
	zone.WriteString("$ORIGIN bench.test.\n@ 3600 IN SOA ns1 host 1 7200 1800 86400 30\n@ 3600 IN NS ns1\n@ 3600 IN NS ns2\nns1 3600 IN A 127.0.0.1\nns2 3600 IN A 127.0.0.1\n")
	yaml.WriteString("monitors:\n  web: {type: tcp, port: 9, interval: 1h, timeout: 1s}\n" +
		"probes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\nstate: {dir: " + b.dir + "/state}\nservices:\n")
	for i := range names {
		fmt.Fprintf(&zone, "s%05d 30 IN A 127.1.%d.%d\ns%05d 30 IN A 127.2.%d.%d\n", i, i>>8, i&255, i, i>>8, i&255)
		fmt.Fprintf(&yaml, "  s%05d.bench.test: {monitors: [web], pools: [{aws/us-east-1: [127.1.%d.%d, 127.2.%d.%d]}, {gcp/europe-west1: [127.3.%d.%d]}]}\n",
			i, i>>8, i&255, i>>8, i&255, i>>8, i&255)
		fmt.Fprintf(&ours, "s%05d.bench.test A\n", i*7919%names)
		fmt.Fprintf(&others, "s%05d.other.test A\n", i*7919%names)
	}
	for name, text := range map[string]string{
		"db": zone.String(), "failover.yaml": yaml.String(), "ours.txt": ours.String(), "others.txt": others.String(),
		"other.db": strings.ReplaceAll(zone.String(), "bench.test", "other.test"),
	} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// answering compares our answers with stock CoreDNS's file plugin (P2).
func (b *bench) answering() error {
	if err := b.prepare(); err != nil {
		return err
	}
	for _, v := range []struct{ what, extra, target string }{
		{"answers, bare chain", "", "0.75"},
		{"answers, prometheus and errors on both", "errors\n  prometheus 127.0.0.1:%d", "0.75"},
	} {
		a := server{bin: b.ours, args: serveArgs, port: 5301, block: ". {\n  bind 127.0.0.1\n  failover " + b.dir + "/failover.yaml\n  %s\n}\n"}
		o := server{bin: b.stock, args: stockArgs, port: 5302, block: "bench.test {\n  bind 127.0.0.1\n  file " + b.dir + "/db\n  %s\n}\n"}
		for _, s := range []*server{&a, &o} {
			extra := v.extra
			if extra != "" {
				extra = fmt.Sprintf(extra, s.port+4000)
			}
			s.block = fmt.Sprintf(s.block, extra)
		}
		if err := b.compare("P2", v.what, &a, &o, "ours.txt", v.target, b.pairs, "stock file"); err != nil {
			return err
		}
	}
	return nil
}

// passing compares the way through our plugin with the same chain without it (P3).
func (b *bench) passing() error {
	if err := b.prepare(); err != nil {
		return err
	}
	chain := "  bind 127.0.0.1\n%s  file " + b.dir + "/other.db other.test\n}\n"
	with := server{bin: b.ours, args: serveArgs, port: 5301, block: ". {\n" + fmt.Sprintf(chain, "  failover "+b.dir+"/failover.yaml\n")}
	without := server{bin: b.ours, args: serveArgs, port: 5302, block: ". {\n" + fmt.Sprintf(chain, "")}
	return b.compare("P3", "pass-through, whole system", &with, &without, "others.txt", "1.03", max(b.pairs, 20), "same without failover")
}

// compare runs two servers in turns and appends the row.
func (b *bench) compare(id, what string, a, o *server, queries, target string, pairs int, other string) error {
	for _, s := range []*server{a, o} {
		if err := s.start(b.dir); err != nil {
			return err
		}
		defer s.stop()
	}
	var ours, others, ratios []float64
	for i := range pairs + 1 {
		x, err := a.load(b, queries)
		if err != nil {
			return err
		}
		y, err := o.load(b, queries)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // warm-up
		}
		ours, others, ratios = append(ours, x), append(others, y), append(ratios, x/y)
	}
	slices.Sort(ratios)
	r := median(ratios)
	b.rows = append(b.rows, row{
		ID: id, What: what, Ours: fmt.Sprintf("%.1f us", median(ours)), Other: fmt.Sprintf("%.1f us (%s)", median(others), other),
		Ratio:  fmt.Sprintf("%.2f [%.2f, %.2f]", r, ratios[len(ratios)/4], ratios[len(ratios)*3/4]),
		Target: "<= " + target, Met: fmt.Sprintf("%.2f", r) <= target,
	})
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
