package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"

	"github.com/detour-dns/detour/test/kit"
)

// pages are the documents that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, g := range []string{"../../*.md", "../../docs/*.md", "../../docs/adr/*.md", "../../plugin/*/*.md", "../../test/*/*.md"} {
		files, err := filepath.Glob(g)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, files...)
	}
	if len(out) < 10 {
		t.Fatalf("found only %d pages", len(out))
	}
	return out
}

var fence = regexp.MustCompile("(?ms)^(?:```|~~~) ?(\\w+)\n(.*?)^(?:```|~~~)$")

// blocks returns the fenced blocks of a language.
func blocks(text, language string) (out []string) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			out = append(out, m[2])
		}
	}
	return out
}

// TestYAMLBlocks: every failover.yaml in the documentation is without fault.
func TestYAMLBlocks(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, b := range blocks(kit.Read(t, page), "yaml") {
			n++
			if _, err := config.Parse("failover.yaml", []byte(b)); err != nil {
				t.Errorf("%s:\n%v\nin\n%s", page, err, b)
			}
		}
	}
	if n < 2 {
		t.Errorf("found only %d blocks: is the pattern wrong?", n)
	}
	if _, err := config.Parse("failover.yaml", []byte(blocks("```yaml\nnonsense: 1\n```\n", "yaml")[0])); err == nil {
		t.Error("a bad block was accepted")
	}
}

var (
	metricInCode = regexp.MustCompile(`= (?:gauge|counter|histogram)\("([a-z_]+)", "[^"]+"((?:, "[a-z]+")*)\)`)
	metricInDocs = regexp.MustCompile("(?m)^\\* `coredns_failover_([a-z_]+)(?:{([a-z, ]+)})?` - ")
)

// metrics returns the metrics that a pattern finds, as name{label, label}.
func metrics(re *regexp.Regexp, text string) (out []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		labels := strings.TrimPrefix(strings.ReplaceAll(m[2], `"`, ""), ", ")
		out = append(out, m[1]+"{"+labels+"}")
	}
	slices.Sort(out)
	return out
}

// TestMetricsAreDocumented: a plugin's README names every metric of its code with
// its labels, and no other.
func TestMetricsAreDocumented(t *testing.T) {
	for plugin, least := range map[string]int{"failover": 20, "guard": 8} {
		inCode := metrics(metricInCode, kit.Read(t, "../../plugin/"+plugin+"/metrics.go"))
		inDocs := metrics(metricInDocs, kit.Read(t, "../../plugin/"+plugin+"/README.md"))
		if len(inCode) < least || !slices.Equal(inCode, inDocs) {
			t.Errorf("%s: metrics in code:\n%v\nin the README:\n%v", plugin, inCode, inDocs)
		}
	}
	if got := metrics(metricInCode, `x = gauge("a", "b.", "c", "d")`); len(got) != 1 || got[0] != "a{c, d}" {
		t.Errorf("the pattern finds %q", got)
	}
}

var optionInCode = regexp.MustCompile(`(?m)^\t"([a-z_]+)": +read[A-Z]`)

// TestGuardOptionsAreDocumented: the guard's README explains every option of its
// directive.
func TestGuardOptionsAreDocumented(t *testing.T) {
	readme := kit.Read(t, "../../plugin/guard/README.md")
	options := optionInCode.FindAllStringSubmatch(kit.Read(t, "../../plugin/guard/setup.go"), -1)
	if len(options) < 10 {
		t.Fatalf("found only %d options", len(options))
	}
	for _, o := range options {
		if !strings.Contains(readme, "* `"+o[1]+"` ") || !strings.Contains(readme, "\n    "+o[1]+" ") {
			t.Errorf("the README does not explain %s", o[1])
		}
	}
}

var mdLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinksLeadSomewhere: every relative link in the documentation names a file.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, m := range mdLink.FindAllStringSubmatch(kit.Read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: link to %s leads nowhere", page, m[1])
			}
		}
	}
}

// TestNothingOfTheWorkshopShows: what only its makers know has no place in the
// project.
func TestNothingOfTheWorkshopShows(t *testing.T) {
	shown := regexp.MustCompile(`\.\./shared|/work/|DESIGN\.md|TIMELINES|\bissue #?\d`)
	for _, page := range pages(t) {
		if hit := shown.FindString(kit.Read(t, page)); hit != "" {
			t.Errorf("%s mentions %q", page, hit)
		}
	}
	if !shown.MatchString("see ../shared/X") {
		t.Error("the pattern matches nothing")
	}
}
