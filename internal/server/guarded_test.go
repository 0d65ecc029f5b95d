package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/state"
)

// One process has one state directory: guard takes that of failover.yaml, in the same
// block or in another one, unless it is told of its own. A file in the place that it
// used before is told of, and left there.
func TestGuardKeepsItsFileWithFailover(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, port, _ := strings.Cut(target.Addr().String(), ":")
	for _, tt := range []struct {
		name, option string
		apart        bool // guard stands in another block
		want         string
	}{
		{"one block", "", false, "named"},
		{"two blocks", "", true, "named"},
		{"its own", "state OWN", false, "own"},
		{"off", "state off", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			old, _, err := state.OpenFile(at("usual"), state.GuardFile)
			if err != nil {
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			t.Setenv("STATE_DIRECTORY", at("usual"))
			yaml := filepath.Join(dir, "f.yaml")
			rewrite(t, yaml, services(at("named"), "127.0.0.1", port))
			text := says(freePort(t), "one", "failover "+yaml)
			guard := "guard api.example.com {\n" + strings.Replace(tt.option, "OWN", at("own"), 1) + "\n}"
			if tt.apart {
				text = says(freePort(t), "two", guard) + text
			} else {
				text = strings.Replace(text, "failover ", guard+"\nfailover ", 1)
			}
			logged.reset()
			start(t, Options{Corefile: write(t, text)})
			for _, name := range []string{"named", "own"} {
				if _, err := os.Stat(filepath.Join(at(name), state.GuardFile)); (err == nil) != (name == tt.want) {
					t.Errorf("guard.db in %s: %v", name, err)
				}
			}
			if told := strings.Contains(logged.String(), "may be in "+at("usual")+", which is not used"); told != (tt.want != "") {
				t.Errorf("told of the other file: %v\n%s", told, logged.String())
			}
		})
	}
}

// TestEveryFaultOfAGuard: each option says its own fault, with its line.
func TestEveryFaultOfAGuard(t *testing.T) {
	got := checkText(". {\n  guard login..example {\n    proof nonsense\n    nosuch thing\n    ttl 3h\n    keep 1y\n  }\n}\n")
	for i, want := range []string{"Corefile:2: guard: ", "Corefile:3: guard: ", "Corefile:4: guard: unknown option \"nosuch\"", "Corefile:5: guard: ", "Corefile:6: guard: "} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("fault %d: want %s", i, want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(got, "\n"))
	}
}
