package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(t \*testing\.T\)`)
)

// TestSecurityNamesRealTests: each test that the table of attackers names is there,
// and each row names one.
func TestSecurityNamesRealTests(t *testing.T) {
	exist := tests(t)
	text := kit.Read(t, "../../docs/security.md")
	_, table, _ := strings.Cut(text, "## Who can do what")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.SplitSeq(table, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| attacker ") {
			continue
		}
		rows++
		if bad := unheld(line, exist); bad != "" {
			t.Errorf("%s: %s", bad, line)
		}
	}
	if rows < 12 {
		t.Errorf("only %d rows: is the pattern wrong?", rows)
	}
	if unheld("| a thief | steals | nothing |", exist) == "" || unheld("| a thief | steals | TestOfNobody |", exist) == "" {
		t.Error("a row without a test was accepted")
	}
}

// unheld says what is wrong with a row, "" if nothing is.
func unheld(row string, exist []string) string {
	names := testName.FindAllString(row, -1)
	if len(names) == 0 {
		return "no test holds it"
	}
	for _, name := range names {
		if _, found := slices.BinarySearch(exist, name); !found {
			return name + " does not exist"
		}
	}
	return ""
}

// tests lists the tests of the project.
func tests(t *testing.T) (out []string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			out = append(out, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
