package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/detour-dns/detour/internal/files"
)

// TestSymlinkedEvents: a history that is a symlink is neither read nor written.
func TestSymlinkedEvents(t *testing.T) {
	for _, name := range []string{current, before} {
		dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
		if err := errors.Join(os.WriteFile(other, []byte("x"), 0o600), os.Symlink(other, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		if _, err := New().Keep(dir); !errors.Is(err, files.ErrDistrusted) {
			t.Errorf("%s: %v", name, err)
		}
		if text, _ := os.ReadFile(other); string(text) != "x" {
			t.Errorf("%s was written to", name)
		}
	}
}
