package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needs is the expression in test/run of the packages that wait for Consul to be built.
var needs = regexp.MustCompile(`(?m)^\s*needs='(.*)'$`)

// missing returns the packages that start a Consul server and that an expression leaves out.
func missing(expr string, using []string) (out []string) {
	re := regexp.MustCompile(expr)
	for _, p := range using {
		if !re.MatchString("github.com/detour-dns/detour/" + p) {
			out = append(out, p)
		}
	}
	return out
}

// Packages whose tests start a Consul server run once it is built: else they would be
// skipped on a fresh machine.
func TestWhoNeedsConsulWaitsForIt(t *testing.T) {
	text, err := os.ReadFile("../run")
	if err != nil {
		t.Fatal(err)
	}
	found := needs.FindSubmatch(text)
	if found == nil {
		t.Fatal("test/run does not say which packages need Consul")
	}
	var using []string
	for _, dir := range []string{"../../internal", "../../plugin", "../../cmd", "../../test"} {
		err := filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") {
				return err
			}
			text, err := os.ReadFile(file) // #nosec G304 G122 -- our own source
			if err == nil && strings.Contains(string(text), "kit.Consul"+"(") {
				using = append(using, strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../../"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if left := missing(string(found[1]), using); len(left) > 0 || len(using) == 0 {
		t.Errorf("these start Consul, and test/run does not let them wait for it: %v (of %v)", left, using)
	}
	if left := missing(`/internal/a$`, []string{"internal/a", "test/b"}); len(left) != 1 || left[0] != "test/b" {
		t.Errorf("a package that is left out is not found: %v", left)
	}
}
