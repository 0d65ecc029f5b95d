package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/admin"
)

// fake is an admin API with one thing to say.
func fake(t *testing.T, v any) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestStatusExitCodes holds the codes that cron and CI rely on.
func TestStatusExitCodes(t *testing.T) {
	for _, s := range []admin.Status{
		{State: admin.Healthy, ExitCode: 0},
		{State: admin.Degraded, ExitCode: 1, Moved: admin.Moved{Services: 1}},
		{State: admin.Degraded, ExitCode: 2, AtRisk: []admin.Risk{{Service: "a", Lost: true}}},
		{State: admin.Panic, ExitCode: 2, AtRisk: []admin.Risk{{Service: "a", Lost: true, Panic: true}}},
	} {
		addr := fake(t, s)
		var out, errs strings.Builder
		if code := execute([]string{"status", "--admin", addr}, &out, &errs); code != s.ExitCode || errs.String() != "" {
			t.Errorf("%s: exit code %d, want %d; %s", s.State, code, s.ExitCode, errs.String())
		}
		if first, _, _ := strings.Cut(out.String(), "\n"); !strings.HasPrefix(first, strings.ToUpper(s.State)+"  ") {
			t.Errorf("opens with %q", first)
		}
		out.Reset()
		var got admin.Status
		code := execute([]string{"status", "--json", "--admin", addr}, &out, &errs)
		if err := json.Unmarshal([]byte(out.String()), &got); err != nil || code != s.ExitCode || got.State != s.State {
			t.Errorf("--json: exit code %d, %v: %s", code, err, out.String())
		}
	}
}

func TestExplain(t *testing.T) {
	addr := fake(t, admin.Explanation{
		Name: "shop.example.org", Service: "*.example.org", Type: "A", Client: "10.1.2.3", Reason: "ramp", Spread: true,
		Answer: "addresses", Addresses: []string{"192.0.2.1", "192.0.2.2"}, Steps: []string{"one", "two"},
	})
	var out, errs strings.Builder
	if code := execute([]string{"explain", "shop.example.org", "--client", "10.1.2.3", "--admin", addr}, &out, &errs); code != 0 {
		t.Fatalf("%d %s", code, errs.String())
	}
	for _, part := range []string{"shop.example.org A for client 10.1.2.3 (service *.example.org)\n", "  one\n  two\n", "drawn anew", "\n192.0.2.1 192.0.2.2\n"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
	for answer, line := range map[string]string{"nodata": "NODATA\n", "servfail": "SERVFAIL\n"} {
		out.Reset()
		execute([]string{"explain", "a", "--admin", fake(t, admin.Explanation{Answer: answer})}, &out, &errs)
		if !strings.HasSuffix(out.String(), line) {
			t.Errorf("%s: %q", answer, out.String())
		}
	}
	errs.Reset()
	if code := execute([]string{"explain"}, &out, &errs); code != 1 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "say which name") {
		t.Errorf("%d %q", code, errs.String())
	}
}

// TestNobodyAnswers holds that the error is one line and says what to do.
func TestNobodyAnswers(t *testing.T) {
	for _, verb := range [][]string{{"status"}, {"explain", "a"}} {
		var out, errs strings.Builder
		code := execute(append(verb, "--admin", "unix://"+t.TempDir()+"/none"), &out, &errs)
		if code != 1 || out.String() != "" || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "is it running? give its address with --admin") {
			t.Errorf("%v: %d %q", verb, code, errs.String())
		}
	}
}

// What a status says to type is a verb of this command.
func TestActsAreVerbs(t *testing.T) {
	source, err := os.ReadFile("../../internal/admin/acts.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"resolver ([a-z]+)`).FindAllStringSubmatch(string(source), -1)
	for _, m := range found {
		if cmd, _, err := newRoot().Find([]string{m[1]}); err != nil || cmd.Name() != m[1] {
			t.Errorf("resolver %s is no verb: %v", m[1], err)
		}
	}
	if len(found) < 8 {
		t.Errorf("%d verbs are named: the source is read wrongly", len(found))
	}
}
