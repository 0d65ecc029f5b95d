//go:build unix

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/test/kit"
)

// TestAlienFilesOfOverrides: what another user may have written drains nothing, and is
// told; what root, or this user, wrote by way of a symlink does: a ConfigMap is such.
func TestAlienFilesOfOverrides(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		pass(20 * time.Second)
		file := filepath.Join(dir, HandsDir, "x.yaml")
		put(t, file, drainByFile)
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
		pass(1100 * time.Millisecond)
		ignored := func(why string) {
			t.Helper()
			faults, story := e.Summary().HandFaults, e.story(journal.Override)
			if e.used() != "aws/us-east-1" || len(faults) != 1 || !strings.Contains(faults[0], why) {
				t.Errorf("answers from %s, faults %q, want %s", e.used(), faults, why)
			}
			if len(story) == 0 {
				t.Error("no event")
			}
		}
		ignored("chmod go-w")
		if os.Getuid() == 0 {
			if err := errors.Join(os.Chmod(file, 0o600), os.Chown(file, 65534, 65534)); err != nil {
				t.Fatal(err)
			}
			pass(1100 * time.Millisecond)
			ignored("belongs to uid 65534")
		}
		real := filepath.Join(t.TempDir(), "real")
		put(t, real, drainByFile)
		if err := errors.Join(os.Remove(file), os.Symlink(real, file)); err != nil {
			t.Fatal(err)
		}
		pass(1100 * time.Millisecond)
		if e.used() != "gcp/europe-west1" {
			t.Errorf("a file of ours by way of a symlink: answers from %s, %q", e.used(), e.Summary().HandFaults)
		}
		if err := os.Chmod(filepath.Join(dir, HandsDir), 0o777); err != nil {
			t.Fatal(err)
		}
		pass(1100 * time.Millisecond)
		o, _ := e.Hands()
		if faults := e.Summary().HandFaults; len(o) != 0 || len(faults) != 1 || !strings.Contains(faults[0], "nothing in it is read") {
			t.Errorf("a folder that anybody writes to: %+v, %q", o, faults)
		}
	})
}

// TestNoDescriptorsForFilesOfOverrides: a process that can open nothing keeps what the
// files said, does not call them faulty, and says what it lacks, once.
func TestNoDescriptorsForFilesOfOverrides(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		pass(20 * time.Second)
		put(t, filepath.Join(dir, HandsDir, "x.yaml"), drainByFile)
		pass(1100 * time.Millisecond)
		kit.WithoutDescriptors(t, func() {
			pass(3 * time.Second)
			sum := e.Summary()
			if e.used() != "gcp/europe-west1" || len(sum.HandFaults) != 0 {
				t.Errorf("answers from %s, faults %q", e.used(), sum.HandFaults)
			}
			if len(sum.Lacks) != 1 || !strings.Contains(sum.Lacks[0], "no file descriptor left") {
				t.Errorf("lacks %q", sum.Lacks)
			}
		})
		pass(1100 * time.Millisecond)
		if got := e.Summary().Lacks; len(got) != 0 {
			t.Errorf("still lacks %q", got)
		}
		told := 0
		for _, ev := range e.Journal().Find(journal.Query{}) {
			if ev.Kind == journal.State && strings.Contains(ev.Text, HandsDir) {
				told++
			}
		}
		if told != 2 {
			t.Errorf("told %d times", told)
		}
	})
}

// TestDistrustedState: with a state directory that others may write to nothing is kept
// and nothing read, and that is said.
func TestDistrustedState(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	e := begin(t, parse(t, shop(dir)), &world{})
	defer e.Close()
	if why := e.Summary().StateLost; !strings.Contains(why, "chmod go-w") {
		t.Errorf("kept there: %q", why)
	}
	if e.Journal().Find(journal.Query{})[0].Kind != journal.State {
		t.Error("no event")
	}
}

// TestSymlinkedHistory: events that would go through a symlink stay in memory, and
// status says so.
func TestSymlinkedHistory(t *testing.T) {
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	put(t, other, "x")
	if err := os.Symlink(other, filepath.Join(dir, "events.jsonl")); err != nil {
		t.Fatal(err)
	}
	e := begin(t, parse(t, shop(dir)), &world{})
	if why := e.Summary().EventsLost; !strings.Contains(why, "is a symlink") {
		t.Errorf("%q", why)
	}
	e.Close()
	if text, _ := os.ReadFile(other); string(text) != "x" {
		t.Error("the symlink was followed")
	}
}
