// Command mutate negates the conditions of the pure packages one by one, and runs
// the package's own tests each time: a rule that no test misses is not tested.
//
//	go run ./test/tools/mutate [PACKAGE[/FILE.go]]...
//
// It prints a table by package and the survivors, and fails where a survivor is not
// listed in survivors.txt, or where less than 95 % are killed in a package.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	return report(rows, listed), nil
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
func report(rows []row, listed map[string]string) bool {
	ok := true
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "package\tconditions\tkilled\tsurvived\tpercent\tminutes\t")
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t\n", r.name, r.conditions, r.conditions-len(r.alive), len(r.alive), r.percent(), r.spent.Minutes())
	}
	_ = t.Flush()
	for i := range rows {
		for _, c := range rows[i].alive {
			reason := listed[c.key()]
			if reason == "" {
				ok, reason = false, "NOT LISTED: give it a test that misses it, or delete it"
			}
			fmt.Printf("%s\n    %s\n", c, reason)
		}
		if rows[i].percent() < least {
			ok = false
			fmt.Printf("%s: %.1f %% of the negated conditions are killed, at least %d must be\n", rows[i].name, rows[i].percent(), least)
		}
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
