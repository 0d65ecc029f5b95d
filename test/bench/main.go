// Command bench measures what the project promises of its speed and prints one
// table: what, ours, what it is compared with, the ratio, the target.
//
// A figure of a whole system is CPU time per answered query, as the operating
// system accounts it to the server's process, client and server on a core of
// their own. Ours and the other one run in turns, and the median of the pairs'
// ratios counts: on a noisy machine single times mean little.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	var b bench
	flag.StringVar(&b.ours, "resolver", "", "our binary; built if empty")
	flag.StringVar(&b.stock, "coredns", "", "stock CoreDNS, built from the same module version")
	flag.StringVar(&b.consul, "consul", "", "a Consul server; if empty the one in ~/.cache/detour-tools")
	flag.IntVar(&b.pairs, "pairs", 7, "interleaved pairs of each comparison")
	flag.DurationVar(&b.run, "run", 3*time.Second, "length of one run")
	flag.IntVar(&b.rate, "rate", 20_000, "queries a second that are offered")
	flag.IntVar(&b.reloads, "reloads", 100, "reloads of failover.yaml under load")
	only := flag.String("only", "", "parts, with commas: "+strings.Join(partNames(), ", ")+" (default: all)")
	short := flag.Bool("short", false, "only what runs in process, with twice the time; fail if a target is missed")
	out := flag.String("write", "", "also write the page docs/performance.md to this file, if all parts ran")
	profile := flag.String("profile", "", "measure nothing: write a CPU profile of our binary at representative work to this file")
	flag.StringVar(&b.inside, "inside", "", "used by bench itself: the part to run in this process")
	flag.Parse()
	b.slack = 1
	if *short {
		b.slack, *only = 2, "process"
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	if err := b.main(*out, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *short && slices.ContainsFunc(b.rows, func(r row) bool { return !r.Met }) {
		fmt.Fprintln(os.Stderr, "bench: slower than twice the target, or it allocates more")
		os.Exit(1)
	}
}

// bench is one run of everything.
type bench struct {
	ours, stock string
	consul      string
	pairs, rate int
	reloads     int
	run         time.Duration
	only        []string
	slack       float64 // times may be so much longer: 1, in the short form 2
	inside      string
	dir         string
	rows        []row
}

// row is one line of the table.
type row struct {
	ID, What, Ours, Other, Ratio, Target string
	Met                                  bool
}

// part is what can be run alone.
type part struct {
	name  string
	run   func(*bench) error
	where place
}

// place is where a part runs.
type place int

const (
	here  place = iota
	apart       // in a process of its own, whose heap has nothing of other parts
	lone        // in a network namespace of its own too, where its silent backends reach nobody else
)

func parts() []part {
	return []part{
		{"process", (*bench).inProcess, here},
		{"answers", (*bench).answering, here},
		{"passing", (*bench).passing, here},
		{"resident", (*bench).resident, here},
		{"probes", (*bench).probing, lone},
		{"reloads", (*bench).reloading, lone},
		{"start", (*bench).starting, lone},
		{"commands", (*bench).commands, lone},
		{"agree", (*bench).agreeing, apart},
		{"catalog", (*bench).catalog, apart},
		{"guard", (*bench).guarding, here},
		{"kept", (*bench).keeping, here},
	}
}

func partNames() (out []string) {
	for _, p := range parts() {
		out = append(out, p.name)
	}
	return out
}

func (b *bench) main(out, profile string) error {
	dir, err := os.MkdirTemp("", "detour-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	b.dir = dir
	if b.inside != "" {
		return b.runInside()
	}
	if profile != "" {
		return b.profile(profile)
	}
	for _, p := range parts() {
		if err := b.part(p); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	slices.SortStableFunc(b.rows, func(x, y row) int { return strings.Compare(x.ID, y.ID) })
	printTable(os.Stdout, b.rows)
	if out == "" || len(b.only) > 0 { // a page of some parts would lose the others' figures
		return nil
	}
	return os.WriteFile(filepath.Clean(out), page(b), 0o644) //nolint:gosec // documentation
}

// part runs one part, unless it was not asked for.
func (b *bench) part(p part) error {
	if len(b.only) > 0 && !slices.Contains(b.only, p.name) {
		return nil
	}
	switch p.where {
	case lone:
		return b.alone(p)
	case apart:
		return b.apart(p)
	default:
		return p.run(b)
	}
}
