package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/journal"
)

// TestEveryKindOfEventIsDescribed holds the table of docs/api.md against the code, in
// both directions.
func TestEveryKindOfEventIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := kindsIn(string(text))
	for _, k := range journal.Kinds {
		if !slices.Contains(documented, string(k)) {
			t.Errorf("kind %s is not described", k)
		}
	}
	for _, k := range documented {
		if !slices.Contains(journal.Kinds, journal.Kind(k)) {
			t.Errorf("there is no kind %s", k)
		}
	}
	if got := kindsIn("| kind | of | fields besides |\n|---|---|---|\n| `a`, `b` | x | `c` |\n\n| `d` |\n"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("of a table it reads %v", got)
	}
}

var quoted = regexp.MustCompile("`([a-z]+)`")

// kindsIn returns what stands in the first column of the table of kinds.
func kindsIn(text string) (out []string) {
	_, table, _ := strings.Cut(text, "| kind | of |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range strings.Split(table, "\n")[1:] {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
	}
	return out
}
