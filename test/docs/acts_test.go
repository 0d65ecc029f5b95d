package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// straySections are the sections of operations.md that a source names and that are not there.
func straySections(source, operations string) (out []string) {
	for _, m := range regexp.MustCompile(`Read: "(\w+)"`).FindAllStringSubmatch(source, -1) {
		if !strings.Contains(operations, "\n### "+m[1]+"\n") {
			out = append(out, m[1])
		}
	}
	return out
}

// What a status says to read is a section of docs/operations.md.
func TestActsLeadSomewhere(t *testing.T) {
	source, operations := kit.Read(t, "../../internal/admin/acts.go"), kit.Read(t, "../../docs/operations.md")
	if stray := straySections(source, operations); len(stray) > 0 {
		t.Errorf("these are not there: %v", stray)
	}
	if n := strings.Count(source, "Read: \""); n < 5 {
		t.Errorf("%d sections are named: the source is read wrongly", n)
	}
	if len(straySections(`Act{Read: "DetourNowhere"}`, operations)) != 1 {
		t.Error("a section that is not there is not found")
	}
}
