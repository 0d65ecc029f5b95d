// Package alerts holds the alerts and the dashboard of config/grafana against the
// code, and shows of each alert that what it is for makes it fire: real resolvers
// watch real machines on loopback, something is broken, and what Prometheus would
// read of them is played to its own rule tester.
package alerts

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/detour-dns/detour/test/kit"
)

const runbook = "https://github.com/detour-dns/detour/blob/main/docs/operations.md"

// rule is an alert.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alertsOf(t *testing.T, path string) (out []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(kit.Read(t, path)), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

func severity(t *testing.T, alert string) string {
	t.Helper()
	for _, r := range alertsOf(t, rules) {
		if r.Alert == alert {
			return r.Labels["severity"]
		}
	}
	t.Fatalf("there is no alert %s", alert)
	return ""
}

var (
	inCode     = regexp.MustCompile(`= (gauge|counter|histogram)\("([a-z_]+)"`)
	inExpr     = regexp.MustCompile(`\b` + prefix + `[a-z_]+`)
	headings   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	histograms = []string{"_bucket", "_sum", "_count"}
)

// series returns the names of all series that the plugin exports.
func series(t *testing.T) (out []string) {
	t.Helper()
	for _, m := range inCode.FindAllStringSubmatch(kit.Read(t, "../../plugin/failover/metrics.go")+kit.Read(t, "../../plugin/guard/metrics.go"), -1) {
		if m[1] != "histogram" {
			out = append(out, prefix+m[2])
			continue
		}
		for _, end := range histograms {
			out = append(out, prefix+m[2]+end)
		}
	}
	if len(out) < 20 {
		t.Fatalf("found %d metrics: is the pattern wrong?", len(out))
	}
	return out
}

// anchors returns the sections of the runbook, as links name them.
func anchors(t *testing.T) (out []string) {
	t.Helper()
	for _, m := range headings.FindAllStringSubmatch(kit.Read(t, "../../docs/operations.md"), -1) {
		out = append(out, strings.ToLower(strings.ReplaceAll(m[1], " ", "-")))
	}
	return out
}

// unknown returns what an expression names and nobody exports.
func unknown(t *testing.T, expr string) (out []string) {
	t.Helper()
	known := series(t)
	for _, name := range inExpr.FindAllString(expr, -1) {
		if !slices.Contains(known, name) {
			out = append(out, "nobody exports "+name)
		}
	}
	return out
}

// faults returns what is wrong with an alert beyond its syntax.
func faults(t *testing.T, r rule) []string {
	t.Helper()
	out := unknown(t, r.Expr)
	link, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#")
	switch {
	case !strings.HasPrefix(r.Alert, "Detour"):
		out = append(out, "the name does not begin with Detour")
	case link != runbook || anchor != strings.ToLower(r.Alert):
		out = append(out, "the runbook is not "+runbook+"#"+strings.ToLower(r.Alert))
	case !slices.Contains(anchors(t), anchor):
		out = append(out, "the runbook has no section "+anchor)
	}
	if s := r.Labels["severity"]; s != "critical" && s != "warning" {
		out = append(out, "severity is "+s)
	}
	if r.Annotations["summary"] == "" {
		out = append(out, "there is no summary")
	}
	return out
}

func TestRules(t *testing.T) {
	all := alertsOf(t, rules)
	if len(all) < 10 {
		t.Errorf("found %d alerts", len(all))
	}
	for _, r := range all {
		for _, f := range faults(t, r) {
			t.Errorf("%s: %s", r.Alert, f)
		}
	}
	if out, err := promtool(t, "check", "rules", rules); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSectionsHaveAlerts: a runbook for an alert that is gone misleads.
func TestSectionsHaveAlerts(t *testing.T) {
	var known []string
	for _, r := range alertsOf(t, rules) {
		known = append(known, strings.ToLower(r.Alert))
	}
	for _, a := range anchors(t) {
		if strings.HasPrefix(a, "detour") && !slices.Contains(known, a) {
			t.Errorf("docs/operations.md has a section %s for no alert", a)
		}
	}
}

// TestBadRulesAreRejected proves that each rule about rules can fail.
func TestBadRulesAreRejected(t *testing.T) {
	want := map[string]string{
		"DetourBrakeOn":        "nobody exports " + prefix + "unheard_of",
		"DetourWithoutSection": "the runbook has no section",
		"DetourOtherSection":   "the runbook is not",
		"ServicePanic":         "does not begin with Detour",
		"DetourServicePanic":   "severity is page",
		"DetourNoBackup":       "no summary",
	}
	for _, r := range alertsOf(t, "testdata/bad.yaml") {
		if got := faults(t, r); len(got) != 1 || !strings.Contains(got[0], want[r.Alert]) {
			t.Errorf("%s: faults %q, want one with %q", r.Alert, got, want[r.Alert])
		}
		delete(want, r.Alert)
	}
	if len(want) > 0 {
		t.Errorf("not in the fixture: %v", want)
	}
}

// panels is the part of a dashboard that is looked at.
type panels struct {
	SchemaVersion int `json:"schemaVersion"`
	Panels        []struct {
		ID      int    `json:"id"`
		Title   string `json:"title"`
		Type    string `json:"type"`
		Targets []struct {
			Expr       string `json:"expr"`
			Datasource struct {
				UID string `json:"uid"`
			} `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

// expressions returns the queries of a dashboard, by panel, and what is wrong
// with it.
func expressions(t *testing.T, path string) (exprs, wrong []string) {
	t.Helper()
	var d panels
	if err := json.Unmarshal([]byte(kit.Read(t, path)), &d); err != nil {
		return nil, []string{err.Error()}
	}
	if d.SchemaVersion < 39 {
		wrong = append(wrong, "an old schema")
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			wrong = append(wrong, fmt.Sprintf("%s: the id %d is there twice", p.Title, p.ID))
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			wrong = append(wrong, p.Title+": nothing is shown")
		}
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
			for _, u := range unknown(t, target.Expr) {
				wrong = append(wrong, p.Title+": "+u)
			}
			if target.Datasource.UID != "${datasource}" {
				wrong = append(wrong, p.Title+": the data source is fixed")
			}
		}
	}
	return exprs, wrong
}

func TestDashboard(t *testing.T) {
	exprs, wrong := expressions(t, "../../config/grafana/dashboard.json")
	if len(exprs) < 15 || len(wrong) > 0 {
		t.Errorf("%d expressions; wrong: %q", len(exprs), wrong)
	}
	// What Grafana fills in is filled in, and promtool reads the expressions as rules.
	fill := strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", ".*", "$instance", ".*")
	var b strings.Builder
	b.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, e := range exprs {
		fmt.Fprintf(&b, "  - {record: 'panel:%d', expr: %q}\n", i, fill.Replace(e))
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBadDashboardIsRejected(t *testing.T) {
	_, wrong := expressions(t, "testdata/bad.json")
	for _, want := range []string{"old schema", "the id 1 is there twice", "nobody exports " + prefix + "unheard_of", "nothing is shown", "the data source is fixed"} {
		if !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("not found: %s, but %q", want, wrong)
		}
	}
}
