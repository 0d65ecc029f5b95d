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
	"time"
)

func main() {
	var b bench
	flag.StringVar(&b.ours, "resolver", "", "our binary; built if empty")
	flag.StringVar(&b.stock, "coredns", "", "stock CoreDNS, built from the same module version")
	flag.IntVar(&b.pairs, "pairs", 7, "interleaved pairs of each comparison")
	flag.DurationVar(&b.run, "run", 3*time.Second, "length of one run")
	flag.IntVar(&b.rate, "rate", 20_000, "queries a second that are offered")
	out := flag.String("write", "", "also write the page docs/performance.md to this file")
	flag.Parse()
	if err := b.main(*out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of everything.
type bench struct {
	ours, stock string
	pairs, rate int
	run         time.Duration
	dir         string
	rows        []row
}

// row is one line of the table.
type row struct {
	id, what, ours, other, ratio, target string
	met                                  bool
}

func (b *bench) main(out string) error {
	dir, err := os.MkdirTemp("", "detour-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	b.dir = dir
	for _, step := range []func() error{b.prepare, b.inProcess, b.answering, b.passing} {
		if err := step(); err != nil {
			return err
		}
	}
	printTable(os.Stdout, b.rows)
	if out == "" {
		return nil
	}
	return os.WriteFile(filepath.Clean(out), page(b), 0o644) //nolint:gosec // documentation
}
