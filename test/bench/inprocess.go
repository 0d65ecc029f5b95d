package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// inProcess runs the benchmarks beside the code: P1, P5 and the first half of P3.
func (b *bench) inProcess() error {
	samples := 200
	if b.slack > 1 {
		samples = 40
	}
	if err := b.transitions(samples); err != nil {
		return err
	}
	got, err := b.goBench("./internal/steer", "DecideByIndex|NameToDecision", "-cpu", "1")
	if err != nil {
		return err
	}
	built, err := b.goBench("./internal/steer", "BuildIncremental|BuildRegion")
	if err != nil {
		return err
	}
	b.limit("P1", "Decide by index, 10,000 services", got["DecideByIndex"], 25, 0)
	b.limit("P1", "name to decision, 10,000 services", got["NameToDecision"], 110, 0)
	b.limit("P5", "incremental build, 10,000 services", built["BuildIncremental"], 300_000, anyAllocs)
	b.limit("P5", "build of a region of 10,000 services", built["BuildRegion"], 25_000_000, anyAllocs)
	if got, err = b.goBench("./plugin/failover", "CallNext|PassThrough|Answer", "-cpu", "1"); err != nil {
		return err
	}
	pass, next := got["PassThrough"], got["CallNext"]
	over := measured{ns: pass.ns - next.ns, allocs: max(0, pass.allocs-next.allocs)}
	b.limit("P3", "pass-through in process, over calling Next", over, 100, 1)
	b.rows = append(b.rows, row{
		ID: "P2", What: "answer in process, two addresses", Ours: got["Answer"].String(), Met: true,
	})
	if got, err = b.goBench("./plugin/guard", "Learn", "-cpu", "1"); err != nil {
		return err
	}
	b.limit("P10", "guard: learn from an answer that brings nothing new", got["Learn"], 1000, 0)
	return nil
}

// measured is the median of a benchmark's runs.
type measured struct{ ns, allocs float64 }

func (m measured) String() string {
	switch {
	case m.ns >= 1e6:
		return fmt.Sprintf("%.1f ms", m.ns/1e6)
	case m.ns >= 1e4:
		return fmt.Sprintf("%.0f us", m.ns/1e3)
	}
	return fmt.Sprintf("%.0f ns, %.0f allocs", m.ns, m.allocs)
}

// anyAllocs is the limit of allocations where they are not limited.
const anyAllocs = 1 << 40

// limit appends a row whose time and allocations must not be above a limit. In the
// short form the time may be twice as long, the allocations may not.
func (b *bench) limit(id, what string, m measured, ns, allocs float64) {
	target := "<= " + measured{ns: ns}.short()
	if b.slack > 1 {
		target = fmt.Sprintf("<= %g x %s", b.slack, measured{ns: ns}.short())
	}
	b.rows = append(b.rows, row{
		ID: id, What: what, Ours: m.String(), Target: target, Ratio: fmt.Sprintf("%.2f", m.ns/ns),
		Other: "target", Met: m.ns <= ns*b.slack && m.allocs <= allocs,
	})
}

func (m measured) short() string {
	s, _, _ := strings.Cut(m.String(), ",")
	return s
}

// goBench runs benchmarks five times, in the short form for a shorter time, and
// returns the medians.
func (b *bench) goBench(pkg, names string, flags ...string) (map[string]measured, error) {
	each := "1s"
	if b.slack > 1 {
		each = "200ms"
	}
	args := []string{"test", "-run", "^$", "-bench", "^Benchmark(" + names + ")$", "-benchmem", "-count", "5", "-benchtime", each}
	out, err := exec.Command("go", append(append(args, flags...), pkg)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench in %s: %w\n%s", pkg, err, out)
	}
	runs := map[string][][2]float64{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		ns, _ := strconv.ParseFloat(f[2], 64)
		allocs, _ := strconv.ParseFloat(f[6], 64)
		name, _, _ := strings.Cut(strings.TrimPrefix(f[0], "Benchmark"), "-") // the number of cores
		runs[name] = append(runs[name], [2]float64{ns, allocs})
	}
	for name := range strings.SplitSeq(names, "|") {
		if len(runs[name]) == 0 {
			return nil, fmt.Errorf("go test -bench in %s: no figure of %s", pkg, name)
		}
	}
	medians := map[string]measured{}
	for name, r := range runs {
		slices.SortFunc(r, func(a, b [2]float64) int { return int(a[0] - b[0]) })
		medians[name] = measured{r[len(r)/2][0], r[len(r)/2][1]}
	}
	return medians, nil
}
