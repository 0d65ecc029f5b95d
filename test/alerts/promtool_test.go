package alerts

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	prefix = "coredns_failover_"
	rules  = "../../config/grafana/alerts.yaml"
)

// promtool runs Prometheus's own tool.
func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("needs promtool (Debian: prometheus)")
	}
	out, err := exec.Command("promtool", args...).CombinedOutput()
	return string(out), err
}

// story is what was scraped of some resolvers, and for how long it was so.
type story struct {
	chapters []chapter
	minutes  int
}

// chapter is the scrapes of some minutes, by resolver. A nil scrape is one that
// failed; a resolver that is missing is no longer a target.
type chapter struct {
	minutes int
	scrapes map[string]scrape
}

func (w *world) scrapes() map[string]scrape {
	out := map[string]scrape{}
	for _, r := range w.all {
		out[r.name] = r.scrape()
	}
	return out
}

func (s *story) add(minutes int, scrapes map[string]scrape) {
	s.chapters = append(s.chapters, chapter{minutes, scrapes})
	s.minutes += minutes
}

// grow adds minutes in which some of what was scraped grows by a second each second.
func (s *story) grow(minutes int, scrapes map[string]scrape, series ...string) {
	for minute := range minutes {
		next := map[string]scrape{}
		for name, sc := range scrapes {
			next[name] = maps.Clone(sc)
			for _, key := range series {
				if v, err := strconv.ParseFloat(sc[prefix+key], 64); err == nil {
					next[name][prefix+key] = fmt.Sprint(v + float64(60*minute))
				}
			}
		}
		s.add(1, next)
	}
}

// series returns the story's series as a test of promtool writes them, one value
// a minute.
func (s *story) series() string {
	values := map[string][]string{}
	done := 0
	for _, c := range s.chapters {
		for name, sc := range c.scrapes {
			up := "1"
			if sc == nil {
				up = "0"
			}
			now := scrape{"up": up}
			maps.Copy(now, sc)
			for key, v := range now {
				key = labeled(key, name)
				list := append(values[key], slices.Repeat([]string{"_"}, done-len(values[key]))...)
				values[key] = append(list, slices.Repeat([]string{v}, c.minutes)...)
			}
		}
		done += c.minutes
		for key, list := range values {
			if len(list) < done {
				values[key] = append(append(list, "stale"), slices.Repeat([]string{"_"}, done-len(list)-1)...)
			}
		}
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "  - series: '%s'\n    values: '%s'\n", key, strings.Join(values[key], " "))
	}
	return b.String()
}

// labeled adds the labels that Prometheus gives to what it scrapes.
func labeled(series, instance string) string {
	own := fmt.Sprintf(`instance="%s",job="detour"`, instance)
	if name, labels, ok := strings.Cut(series, "{"); ok {
		return name + "{" + own + "," + labels
	}
	return series + "{" + own + "}"
}

// expectation is what must be at a minute of a story.
type expectation struct {
	minute int
	fires  []string // the names of all alerts that fire then, and no others
	alert  string   // one of them, of which is asserted as well:
	labels string   // YAML, without severity
	says   string   // its summary
}

// assert has promtool play the story and compare what fires.
func (s *story) assert(t *testing.T, wants ...expectation) {
	t.Helper()
	path, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 15s\ntests:\n- interval: 1m\n  input_series:\n%s", path, s.series())
	b.WriteString("  promql_expr_test:\n")
	for _, w := range wants {
		fmt.Fprintf(&b, "  - expr: 'group by (alertname) (ALERTS{alertstate=\"firing\"})'\n    eval_time: %dm\n    exp_samples:\n", w.minute)
		for _, name := range w.fires {
			fmt.Fprintf(&b, "    - {labels: '{alertname=%q}', value: 1}\n", name)
		}
	}
	b.WriteString("  alert_rule_test:\n")
	for _, w := range wants {
		if w.alert != "" {
			fmt.Fprintf(&b, "  - eval_time: %dm\n    alertname: %s\n    exp_alerts:\n    - exp_labels: {severity: %s, %s}\n      exp_annotations: {summary: %q, runbook_url: %q}\n",
				w.minute, w.alert, severity(t, w.alert), w.labels, w.says, runbook+"#"+strings.ToLower(w.alert))
		}
	}
	file := filepath.Join(t.TempDir(), "story.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "test", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
