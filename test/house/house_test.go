// Package house holds the tree against its own rules: which room may import
// which, how long a file may be, and what a test may not do. Each rule has a bad
// fixture in testdata that it must reject.
package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/detour-dns/detour/"

// rooms says which of our packages each package may import, tests left out.
// Imports go one way; a package that is not listed may not exist.
var rooms = map[string][]string{
	"internal/files":         {},
	"config":                 {"internal/files"},
	"internal/health":        {},
	"internal/steer":         {"internal/health"},
	"internal/source":        {"internal/guard"},
	"internal/source/consul": {"config", "internal/files", "internal/source"},
	"internal/plan":          {"config", "internal/source", "internal/steer", "internal/health"},
	"internal/prober":        {"internal/files", "internal/health"},
	"internal/monitor":       {"internal/files", "internal/prober", "internal/health"},
	"internal/agree":         {"internal/health"},
	"internal/share":         {"internal/health"},
	"internal/share/consul":  {"config", "internal/files", "internal/share", "internal/health"},
	"internal/below":         {},
	"internal/guard":         {},
	"internal/crash":         {"internal/files"},
	"internal/journal":       {"internal/files"},
	"internal/incident":      {"internal/journal"},
	"internal/exchange":      {"internal/guard", "internal/share"},
	"internal/state":         {"internal/files"},
	"internal/engine":        {"config", "internal/files", "internal/agree", "internal/crash", "internal/journal", "internal/monitor", "internal/prober", "internal/source", "internal/source/consul", "internal/share", "internal/share/consul", "internal/guard", "internal/state", "internal/plan", "internal/steer", "internal/health"},
	"internal/admin":         {"config", "internal/files", "internal/guard", "internal/engine", "internal/incident", "internal/journal", "internal/plan", "internal/steer", "internal/health"},
	"plugin/guard":           {"config", "internal/files", "internal/below", "internal/guard", "internal/health", "internal/prober", "internal/state"},
	"plugin/failover":        {"config", "internal/files", "internal/below", "internal/crash", "internal/exchange", "internal/guard", "internal/journal", "internal/engine", "internal/admin", "internal/plan", "internal/source", "internal/steer", "internal/transport", "internal/health"},
	"internal/startup":       {},
	"internal/unexported":    {},
	"internal/transport":     {"internal/unexported"},
	"internal/server":        {"config", "internal/files", "internal/startup", "internal/transport", "internal/unexported", "plugin/failover", "plugin/guard"},
	"cmd/resolver":           {"config", "internal/server", "internal/admin", "internal/plan", "internal/demo"},
	"internal/demo":          {"config", "internal/server", "internal/admin"},
	"test/kit":               {},
	"test/report":            {},
	"test/bench":             {"config", "internal/guard", "internal/state", "internal/engine", "internal/plan", "internal/share", "internal/share/consul", "internal/source", "internal/source/consul", "internal/steer", "internal/health", "internal/server", "plugin/failover"},
}

// pure are the packages that decide: no clock, no random source, no I/O, no log.
var pure = []string{"internal/health", "internal/agree", "internal/steer", "internal/plan", "internal/guard", "internal/incident"}

// impure are calls that a pure package must not make.
var impure = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"},
}

// impureImports are packages that a pure package must not import.
var impureImports = []string{"os", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "github.com/miekg/dns"}

// dnsRooms are the only packages that may read DNS messages.
var dnsRooms = []string{"plugin/failover", "plugin/guard", "internal/below", "internal/prober", "internal/server", "internal/transport"}

const maxLines = 400

// file is one Go file as the rules see it.
type file struct {
	path string // slash-separated, from the root
	room string
	test bool
	ast  *ast.File
	fset *token.FileSet
	text []byte
}

func parse(t *testing.T, path, as string) file {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file{as, filepath.ToSlash(filepath.Dir(as)), strings.HasSuffix(as, "_test.go"), tree, fset, text}
}

// tree returns every Go file of the module.
func tree(t *testing.T) (files []file) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || rel == "test/tools" || rel == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, parse(t, path, rel))
		}
		return nil
	})
	if err != nil || len(files) < 50 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	return files
}

func (f *file) imports() []string {
	var out []string
	for _, i := range f.ast.Imports {
		out = append(out, strings.Trim(i.Path.Value, `"`))
	}
	return out
}

// faults returns what is wrong with one file.
func faults(f file) (out []string) {
	out = append(out, tooLong(f)...)
	if f.test {
		return append(out, sleeps(f)...)
	}
	out = append(out, wrongImports(f)...)
	if slices.Contains(pure, f.room) {
		out = append(out, impurities(f)...)
	}
	return out
}

func tooLong(f file) []string {
	if n := bytes.Count(f.text, []byte("\n")); n > maxLines {
		return []string{fmt.Sprintf("%s has %d lines, at most %d", f.path, n, maxLines)}
	}
	return nil
}

func wrongImports(f file) (out []string) {
	allowed, known := rooms[f.room]
	if !known {
		return []string{f.path + ": package " + f.room + " is not in the plan of the house (rooms in test/house)"}
	}
	for _, i := range f.imports() {
		own, isOwn := strings.CutPrefix(i, module)
		if isOwn && !slices.Contains(allowed, own) {
			out = append(out, fmt.Sprintf("%s: %s may not import %s", f.path, f.room, own))
		}
		if i == "github.com/miekg/dns" && !slices.Contains(dnsRooms, f.room) && !strings.HasPrefix(f.room, "test/") {
			out = append(out, fmt.Sprintf("%s: DNS messages belong to %s", f.path, strings.Join(dnsRooms, ", ")))
		}
	}
	return out
}

func impurities(f file) (out []string) {
	for _, i := range f.imports() {
		if slices.Contains(impureImports, i) {
			out = append(out, fmt.Sprintf("%s: pure package imports %s", f.path, i))
		}
	}
	for pkg, names := range impure {
		for _, at := range calls(f, pkg, names) {
			out = append(out, fmt.Sprintf("%s: pure package uses %s", f.path, at))
		}
	}
	return out
}

func sleeps(f file) (out []string) {
	for _, at := range calls(f, "time", []string{"Sleep"}) {
		out = append(out, fmt.Sprintf("%s: a test sleeps: %s", f.path, at))
	}
	return out
}

// calls returns where names of a package are used.
func calls(f file, pkg string, names []string) (out []string) {
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg && slices.Contains(names, sel.Sel.Name) {
			out = append(out, fmt.Sprintf("%s.%s in line %d", pkg, sel.Sel.Name, f.fset.Position(sel.Pos()).Line))
		}
		return true
	})
	return out
}

func TestTheHouseIsInOrder(t *testing.T) {
	for _, f := range tree(t) {
		for _, fault := range faults(f) {
			t.Error(fault)
		}
	}
}

// TestRulesRejectBadFixtures proves that each rule can fail.
func TestRulesRejectBadFixtures(t *testing.T) {
	for name, want := range map[string]struct{ as, fault string }{
		"import.txt": {"internal/steer/bad.go", "may not import internal/engine"},
		"clock.txt":  {"internal/health/bad.go", "uses time.Now"},
		"rand.txt":   {"internal/plan/bad.go", "imports math/rand/v2"},
		"dns.txt":    {"internal/engine/bad.go", "DNS messages belong"},
		"room.txt":   {"internal/utils/bad.go", "not in the plan of the house"},
		"sleep.txt":  {"internal/engine/bad_test.go", "a test sleeps"},
	} {
		f := parse(t, filepath.Join("testdata", name), want.as)
		if got := faults(f); len(got) != 1 || !strings.Contains(got[0], want.fault) {
			t.Errorf("%s as %s: faults %q, want one with %q", name, want.as, got, want.fault)
		}
	}
	long := file{path: "internal/health/long.go", text: bytes.Repeat([]byte("//\n"), maxLines+1)}
	if len(tooLong(long)) != 1 {
		t.Error("a file that is too long was accepted")
	}
}

// TestRoomsExist fails when the plan names a package that is gone, so that the
// plan does not rot.
func TestRoomsExist(t *testing.T) {
	for room := range rooms {
		if files, _ := filepath.Glob(filepath.Join("../..", room, "*.go")); len(files) == 0 {
			t.Errorf("the plan of the house has %s, but there is no such package", room)
		}
	}
}
