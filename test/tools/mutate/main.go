// Command mutate negates the conditions of the pure packages one by one, and runs
// the package's own tests each time: a rule that no test misses is not tested.
//
//	go run ./test/tools/mutate [PACKAGE[/FILE.go]]...
//
// It prints a table by package and the survivors, and fails where a survivor is not
// listed in survivors.txt, where one that is listed does not survive, or where less than
// 95 % are killed in a package. All five packages take about four minutes on two cores.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	least = 95 // percent of negated conditions that a package's tests must kill
	list  = "test/tools/mutate/survivors.txt"
)

var pure = []string{"health", "steer", "plan", "agree", "guard"}

// row is one package of the table.
type row struct {
	name       string
	conditions int
	alive      []condition
	spent      time.Duration
}

func (r *row) percent() float64 {
	return 100 * float64(r.conditions-len(r.alive)) / float64(max(1, r.conditions))
}

func main() {
	flag.Parse()
	want := flag.Args()
	if len(want) == 0 {
		want = pure
	}
	ok, err := run(want)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(want []string) (bool, error) {
	listed, err := readList()
	if err != nil {
		return false, err
	}
	var rows []row
	for _, w := range want {
		r, err := mutate(w)
		if err != nil {
			return false, fmt.Errorf("%s: %w", w, err)
		}
		rows = append(rows, r)
	}
	return report(os.Stdout, rows, listed), nil
}

// mutate negates each condition of a package, or of one of its files.
func mutate(what string) (row, error) {
	start := time.Now()
	name, file, _ := strings.Cut(what, "/")
	r := row{name: what}
	all, err := conditions(filepath.Join("internal", name), file)
	if err != nil {
		return r, err
	}
	b, err := newBench(name, all)
	if err != nil {
		return r, err
	}
	defer b.close()
	r.conditions = len(all)
	for i, c := range all {
		if b.pass(i + 1) {
			r.alive = append(r.alive, c)
			fmt.Fprintln(os.Stderr, "survives:", c)
		}
	}
	r.spent = time.Since(start)
	return r, nil
}

// report prints the table and the survivors, and says whether all is as it must be.
func report(to io.Writer, rows []row, listed map[string]string) bool {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "package\tconditions\tkilled\tlisted\tnot listed\tpercent\tseconds\t")
	for i := range rows {
		r := &rows[i]
		known := r.known(listed)
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.0f\t\n", r.name, r.conditions, r.conditions-len(r.alive), known, len(r.alive)-known, r.percent(), r.spent.Seconds())
	}
	_ = t.Flush()
	ok := true
	for i := range rows {
		ok = rows[i].judge(to, listed) && ok
	}
	return ok
}

// known returns how many survivors are listed.
func (r *row) known(listed map[string]string) (n int) {
	for _, c := range r.alive {
		if listed[c.key()] != "" {
			n++
		}
	}
	return n
}

// judge prints the survivors of a package, and what is wrong: one that is not listed,
// one that is and does not survive, too many.
func (r *row) judge(to io.Writer, listed map[string]string) bool {
	ok := true
	alive := map[string]bool{}
	for _, c := range r.alive {
		reason := listed[c.key()]
		if alive[c.key()] = true; reason == "" {
			ok, reason = false, "NOT LISTED: give it a test that misses it, or delete it"
		}
		fmt.Fprintf(to, "%s\n    %s\n", c, reason)
	}
	for _, key := range slices.Sorted(maps.Keys(listed)) {
		if strings.HasPrefix(key, "internal/"+r.name+"/") && !alive[key] {
			ok = false
			fmt.Fprintf(to, "%s\n    LISTED IN VAIN: a test misses it, or it is gone: take it out of %s\n", key, list)
		}
	}
	if r.percent() < least {
		ok = false
		fmt.Fprintf(to, "%s: %.1f %% of the negated conditions are killed, at least %d must be\n", r.name, r.percent(), least)
	}
	return ok
}

// readList reads the survivors that are known: two lines each, the condition as
// condition.key, and indented below it the reason.
func readList() (map[string]string, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	known, key := map[string]string{}, ""
	for line := range bytes.Lines(text) {
		s := string(bytes.TrimRight(line, "\n"))
		switch reason := strings.TrimSpace(s); {
		case reason == "" || strings.HasPrefix(s, "#"):
		case !strings.HasPrefix(s, " "):
			key = s
		case key == "":
			return nil, fmt.Errorf("%s: the reason %q is of no condition", list, reason)
		default:
			known[key] = reason
		}
	}
	return known, nil
}
