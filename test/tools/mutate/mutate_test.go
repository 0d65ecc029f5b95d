package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWhatFails holds that a survivor must be listed and one that is listed must survive,
// and that 95 % must be killed whatever is listed.
func TestWhatFails(t *testing.T) {
	a, b := condition{file: "internal/p/a.go", in: "f", text: "x"}, condition{file: "internal/p/a.go", in: "f", text: "y"}
	listed := map[string]string{a.key(): "it spares time", "internal/other/a.go f: x": "of another package"}
	for name, c := range map[string]struct {
		name       string
		conditions int
		alive      []condition
		want       bool
	}{
		"listed":             {"p", 100, []condition{a}, true},
		"another":            {"p", 100, []condition{a, b}, false},
		"no more":            {"p", 100, nil, false},
		"at the bound":       {"p", 20, []condition{a}, true},
		"below it":           {"p", 19, []condition{a}, false},
		"of a file":          {"p/b.go", 19, nil, true},
		"none to be negated": {"q", 0, nil, false},
	} {
		r := row{name: c.name, conditions: c.conditions, alive: c.alive}
		if got := report(io.Discard, []row{r}, listed); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNumbered holds that each condition is asked for by its number, those within others
// too, and that nothing else changes.
func TestNumbered(t *testing.T) {
	const text = `package p

func f(a, b bool, n []int) bool {
	if a && !b || len(n) > 2 {
		return any(n, func(x int) bool { return x == 1 }) == b
	}
	switch {
	case b:
	}
	return a
}
`
	const want = `package p

func f(a, b bool, n []int) bool {
	if mutateAsk(1, a) && !mutateAsk(2, b) || mutateAsk(3, len(n) > 2) {
		return mutateAsk(4, any(n, func(x int) bool { return mutateAsk(5, x == 1) }) == b)
	}
	switch {
	case mutateAsk(6, b):
	}
	return a
}
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := conditions(dir, "")
	if err != nil || len(all) != 6 {
		t.Fatalf("%d conditions, %v", len(all), err)
	}
	if got := numbered(text, all, []int{0, 1, 2, 3, 4, 5}); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestSlow holds which tests are run only where the others miss nothing.
func TestSlow(t *testing.T) {
	if got, want := slowOf("=== RUN   TestA\n--- PASS: TestA (0.02s)\n--- PASS: TestB (0.10s)\nPASS\n"), "^(none|TestB)$"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
