package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/state"
)

// TestADamagedStateForgetsNoDrain: what operators decided outlives a state file that
// is damaged as a whole or in part, for there is a copy; and it is said.
func TestADamagedStateForgetsNoDrain(t *testing.T) {
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		says   string
	}{
		"all of it": {func(b []byte) []byte { return bytes.Repeat([]byte("?"), len(b)) }, "its copy of "},
		"cut short": {func(b []byte) []byte { return b[:len(b)/2] }, "its copy of "},
		"one record": {
			func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"Owner":"jo"`), []byte(`"Owner":"JO"`)) },
			"record of overrides in the state file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				e := begin(t, parse(t, shop(dir)), &world{})
				if err := e.PutOverride(drain("aws/us-east-1"), "test"); err != nil {
					t.Fatal(err)
				}
				pass(saveEvery + time.Second)
				e.Close()
				damage(t, filepath.Join(dir, state.FileName), c.damage)
				e = begin(t, parse(t, shop(dir)), &world{})
				defer e.Close()
				if o, _ := e.Hands(); len(o) != 1 || o[0].Owner != "jo" || e.used() != "gcp/europe-west1" {
					t.Errorf("in force after that: %+v, in use %s", o, e.used())
				}
				tells(t, e, c.says)
			})
		})
	}
}

// TestADamagedStateWithoutACopy: what is gone is gone, and status says so.
func TestADamagedStateWithoutACopy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, state.FileName), bytes.Repeat([]byte("?"), 20_000), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		tells(t, e, "overrides, freezes and what moved are forgotten")
		if e.forgot(e.started.Add(toldFor-time.Second)) == "" || e.forgot(e.started.Add(toldFor)) != "" {
			t.Error("it is not said for a day")
		}
	})
}

func damage(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := how(text)
	if bytes.Equal(bad, text) {
		t.Fatal("nothing was damaged")
	}
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tells holds that the summary and the history say what happened to the state.
func tells(t *testing.T, e *Engine, what string) {
	t.Helper()
	if s := e.Summary().StateForgot; !strings.Contains(s, what) {
		t.Errorf("the summary says %q, want %q", s, what)
	}
	said := false
	for _, ev := range e.Journal().Find(journal.Query{}) {
		said = said || strings.Contains(ev.Text, what)
	}
	if !said {
		t.Errorf("the history does not say %q", what)
	}
}
