package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
)

// Whatever a resolver says, the command writes nothing that steers a terminal; what
// it writes as JSON is what the resolver said.
func TestNothingSteersTheTerminal(t *testing.T) {
	const evil = "ok\x1b]0;pwned\x07\x1b[2K\rHEALTHY\u009b\u202e\x7f"
	addr := fake(t, struct {
		admin.Status
		Events []admin.Event `json:"events"`
	}{
		admin.Status{
			State: admin.Degraded, Warnings: []string{evil}, Freezes: []admin.Freeze{{Target: evil, Reason: evil, Owner: evil}},
			Overrides: []admin.Override{{Target: evil, Reason: evil, Owner: evil}},
		}, []admin.Event{{Text: evil, Who: evil}},
	})
	for _, verb := range []string{"status", "overrides", "events", "status --json", "nonsense" + evil} {
		_, stdout, stderr := run(append(strings.Split(verb, " "), "--admin", addr)...)
		said := strings.NewReplacer("\n", "", "\t", "").Replace(stdout + stderr)
		if r, found := config.Control(said); found || stdout+stderr == "" {
			t.Errorf("%s: %U is printed: %q", verb, r, said)
		}
		if !strings.HasSuffix(verb, "--json") {
			continue
		}
		var s admin.Status
		if err := json.Unmarshal([]byte(stdout), &s); err != nil || s.Freezes[0].Owner != evil {
			t.Errorf("%v: %q", err, s.Freezes)
		}
	}
	text := page(&admin.Status{Warnings: []string{evil}}, nil, true)
	if _, found := config.Control(strings.ReplaceAll(text, "\n", "")); found {
		t.Errorf("a watched status: %q", text)
	}
}
