// Command report turns the output of `go test -json` into what a person wants to
// read: one line for each package, every skipped test with its reason, the failures
// whole, and at the end, where a log that was cut short still has it, what each of
// them complained of.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "report: want one argument, the file that go test -json wrote")
		os.Exit(2)
	}
	f, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	defer f.Close() //nolint:errcheck // only read
	r := newReport()
	if err := r.read(f); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	if !r.print(os.Stdout) {
		os.Exit(1)
	}
}

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type report struct {
	output   map[string][]string // by package and test
	packages []string            // lines, in order of their end
	failed   []string
	brief    []string // of what failed: the lines that the tests themselves wrote
	skipped  []string
	slow     []event // tests that ended, without subtests
	passes   int
	fails    int
	skips    int
}

func newReport() *report { return &report{output: map[string][]string{}} }

func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			r.failed = append(r.failed, lines.Text()) // a build error, in plain text
			continue
		}
		r.take(e)
	}
	return lines.Err()
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, key)
			return
		}
		r.endTest(e, key)
	case "build-fail":
		r.failed = append(r.failed, r.output[key]...)
	}
}

func (r *report) endTest(e event, key string) {
	if !strings.Contains(e.Test, "/") {
		r.slow = append(r.slow, e)
	}
	switch e.Action {
	case "pass":
		r.passes++
	case "fail":
		r.fails++
		r.failed = append(r.failed, fmt.Sprintf("FAIL %s %s\n", e.Package, e.Test))
		r.failed = append(r.failed, r.output[key]...)
		r.brief = append(r.brief, brief(e.Test, r.output[key])...)
	case "skip":
		r.skips++
		r.skipped = append(r.skipped, fmt.Sprintf("%s: %s", e.Test, reason(r.output[key])))
	}
	delete(r.output, key)
}

func (r *report) endPackage(e event, key string) {
	name := short(e.Package)
	switch e.Action {
	case "pass":
		r.packages = append(r.packages, fmt.Sprintf("ok    %-28s %6.1f s", name, e.Elapsed))
	case "fail":
		r.packages = append(r.packages, fmt.Sprintf("FAIL  %-28s %6.1f s", name, e.Elapsed))
		r.failed = append(r.failed, r.output[key]...)
		if r.fails == 0 {
			r.fails++ // it did not build, or died
		}
	}
}

// reason is what a test said when it skipped itself.
func reason(output []string) string {
	for _, line := range output {
		if at := strings.Index(line, "_test.go:"); at >= 0 {
			if _, why, ok := strings.Cut(line[at+len("_test.go:"):], ": "); ok {
				return strings.TrimSpace(why)
			}
		}
	}
	return "no reason given"
}

// brief is what a test wrote with Error or Log, a line each, and not what programs
// that it ran have said.
func brief(test string, output []string) []string {
	lines := []string{"FAIL " + test}
	for _, line := range output {
		if own.MatchString(line) {
			lines = append(lines, "  "+cut(strings.TrimSpace(line)))
		}
	}
	return lines
}

// own matches a line that package testing puts a file and line before.
var own = regexp.MustCompile(`^ +[a-z0-9_]+_test\.go:\d+: `)

func cut(line string) string {
	const width = 300
	if len(line) > width {
		return line[:width] + " ..."
	}
	return line
}

// slowest is how many tests are shown that took longest, and noticeable is how many
// seconds one takes at least.
const (
	slowest    = 10
	noticeable = 10
)

func (r *report) printSlowest(w io.Writer) {
	slices.SortStableFunc(r.slow, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for i, e := range r.slow[:min(slowest, len(r.slow))] {
		if e.Elapsed < noticeable {
			return
		}
		if i == 0 {
			fmt.Fprintln(w, "\nthe slowest tests:")
		}
		fmt.Fprintf(w, "  %6.1f s  %s %s\n", e.Elapsed, short(e.Package), e.Test)
	}
}

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/detour-dns/detour/") }

func (r *report) print(w io.Writer) bool {
	for _, line := range r.packages {
		fmt.Fprintln(w, line)
	}
	r.printSlowest(w)
	if len(r.skipped) > 0 {
		fmt.Fprintf(w, "\nskipped on this machine:\n")
		for _, s := range r.skipped {
			fmt.Fprintln(w, "  "+s)
		}
	}
	if len(r.failed) > 0 {
		fmt.Fprintf(w, "\n%s", strings.Join(r.failed, ""))
	}
	for i, line := range r.brief {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", r.passes, r.fails, r.skips)
	return r.fails == 0 && len(r.failed) == 0
}
