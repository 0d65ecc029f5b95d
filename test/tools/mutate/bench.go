package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench runs the tests of one package. They are built once, with each condition asked
// by way of a function that negates the one whose number the environment holds: a build
// for each would take most of the time.
type bench struct {
	pkg, dir string
	slow     string        // an expression for the names of the tests that take long
	limit    time.Duration // of a run; what takes longer has missed the condition
}

// long is what a test takes that is run only where the others miss nothing.
const long = 0.1 // seconds

// chooser is the variable that holds the number of the negated condition.
const chooser = "MUTATE_CONDITION"

// asks is the file that is added to the package.
const asks = `package %s

import "os"

var mutateChosen = os.Getenv("` + chooser + `")

var mutateAt = func() (n int) {
	for _, c := range mutateChosen {
		n = 10*n + int(c-'0')
	}
	return n
}()

func mutateAsk[B ~bool](at int, is B) B { return is != (at == mutateAt) }
`

// newBench builds the tests of a package, and runs them with nothing negated: they must
// pass.
func newBench(name string, all []condition) (b *bench, err error) {
	b = &bench{pkg: "./internal/" + name, limit: 5 * time.Minute}
	if b.dir, err = os.MkdirTemp("", "mutate"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := b.write(name, all); err != nil {
		return nil, err
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-pgo=off", "-o", b.dir+"/tests", "-overlay", b.dir+"/overlay.json", b.pkg)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("does not build:\n%s", out)
	}
	start := time.Now()
	out, ok := b.run(0, "-test.v")
	if !ok {
		return nil, fmt.Errorf("its tests fail with nothing negated:\n%s", out)
	}
	b.limit = 5*time.Since(start) + 5*time.Second
	b.slow = slowOf(string(out))
	return b, nil
}

// slowOf returns an expression for the tests that took long.
func slowOf(out string) string {
	names := []string{"none"}
	for line := range strings.Lines(out) {
		var name string
		var took float64
		if _, err := fmt.Sscanf(line, "--- PASS: %s (%fs)", &name, &took); err == nil && took >= long {
			names = append(names, name)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

// write writes the package's files with their conditions numbered from 1, and what
// makes the compiler read them.
func (b *bench) write(name string, all []condition) error {
	of := map[string][]int{}
	for i := range all {
		of[all[i].file] = append(of[all[i].file], i)
	}
	instead := map[string]string{}
	add := func(file, text string) error {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		instead[path] = filepath.Join(b.dir, filepath.Base(file))
		return os.WriteFile(instead[path], []byte(text), 0o600)
	}
	for file, numbers := range of {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := add(file, numbered(string(text), all, numbers)); err != nil {
			return err
		}
	}
	if err := add(filepath.Join("internal", name, "mutate_asks.go"), fmt.Sprintf(asks, name)); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": instead})
	if err != nil {
		return err
	}
	return os.WriteFile(b.dir+"/overlay.json", overlay, 0o600)
}

// numbered returns the text of a file with these of all conditions numbered.
func numbered(text string, all []condition, numbers []int) string {
	type insert struct {
		at, order int // at one place in this order: what ends there, then what begins
		text      string
	}
	var inserts []insert
	for _, i := range numbers {
		c := &all[i]
		size := c.end - c.start // of those that begin together the larger first, of those that end the smaller
		inserts = append(inserts, insert{c.start, len(text) - size, fmt.Sprintf("mutateAsk(%d, ", i+1)}, insert{c.end, size - len(text), ")"})
	}
	slices.SortStableFunc(inserts, func(x, y insert) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.order, y.order))
	})
	var out strings.Builder
	last := 0
	for _, in := range inserts {
		out.WriteString(text[last:in.at])
		out.WriteString(in.text)
		last = in.at
	}
	out.WriteString(text[last:])
	return out.String()
}

// pass reports whether the tests pass with a condition negated, the quick ones first.
func (b *bench) pass(number int) bool {
	for _, which := range []string{"-test.skip=", "-test.run="} {
		if _, ok := b.run(number, which+b.slow); !ok {
			return false
		}
	}
	return true
}

// run runs tests with one condition negated, or none if number is 0, and reports whether
// they pass: within the limit, and within 8 GB of addresses, for an endless loop that
// appends must not take the machine.
func (b *bench) run(number int, flag string) (out []byte, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), b.limit)
	defer cancel()
	run := exec.CommandContext(ctx, "sh", "-c", `ulimit -v 8000000; exec "$0" -test.failfast "$1"`, b.dir+"/tests", flag)
	run.Dir, run.Env = b.pkg, append(os.Environ(), chooser+"="+strconv.Itoa(number))
	out, err := run.CombinedOutput()
	return out, err == nil
}
