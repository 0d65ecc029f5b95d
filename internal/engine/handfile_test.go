package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const drainByFile = "- {target: aws/us-east-1, do: drain, reason: CHG-4711, owner: jo}\n"

// A file in overrides.d drains within a second, without any API; a file that is
// broken later keeps what it said; a restart finds it before the first answer; a
// file that is gone lifts what it said.
func TestFilesOfOverrides(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		pass(20 * time.Second)
		file := filepath.Join(dir, HandsDir, "10-move.yaml")
		put(t, file, drainByFile)
		pass(1100 * time.Millisecond)
		if got := e.used(); got != "gcp/europe-west1" {
			t.Fatalf("drained by a file, and answers from %s", got)
		}
		put(t, file, "- {target: aws/us-west-9, do: drain, reason: r, owner: jo}\n")
		pass(1100 * time.Millisecond)
		faults := e.Summary().HandFaults
		if len(faults) != 1 || !strings.HasPrefix(faults[0], file+":1:12: unknown target aws/us-west-9") || e.used() != "gcp/europe-west1" {
			t.Errorf("faults %q, answers from %s", faults, e.used())
		}
		put(t, file, drainByFile)
		pass(1100 * time.Millisecond)
		e.Close()
		e = begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if o, _ := e.Hands(); len(o) != 1 || o[0].From != file || e.used() != "gcp/europe-west1" {
			t.Errorf("after a restart: %+v, answers from %s", o, e.used())
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if o, _ := e.Hands(); len(o) != 0 {
			t.Errorf("the file is gone, its override is not: %+v", o)
		}
		story := e.story(journal.Override)
		if len(story) != 4 || story[0] != "override aws/us-east-1 file "+file {
			t.Errorf("the story is %q", story)
		}
	})
}

// A reload that brings a file's target makes the file work.
func TestFileOfOverridesForALaterTarget(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		if err := os.MkdirAll(filepath.Join(dir, HandsDir), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, HandsDir, "a.yaml"), "- {target: azure/westeurope, do: drain, reason: r, owner: jo}\n")
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		pass(20 * time.Second)
		if o, _ := e.Hands(); len(o) != 0 || len(e.Summary().HandFaults) != 1 {
			t.Fatalf("%+v, %q", o, e.Summary().HandFaults)
		}
		if err := e.Apply(parse(t, shop(dir)+"      - azure/westeurope: [192.0.2.99]\n")); err != nil {
			t.Fatal(err)
		}
		if o, _ := e.Hands(); len(o) != 1 || len(e.Summary().HandFaults) != 0 {
			t.Errorf("%+v, %q", o, e.Summary().HandFaults)
		}
	})
}

// What is no file of overrides is said and left alone.
func TestStrangeFilesOfOverrides(t *testing.T) {
	dir := t.TempDir()
	hands := filepath.Join(dir, HandsDir)
	if err := os.MkdirAll(filepath.Join(hands, "dir.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(hands, "large.yaml"), strings.Repeat("#", maxHandSize+1))
	put(t, filepath.Join(hands, "note.txt"), "not ours")
	put(t, filepath.Join(hands, "empty.yaml"), "")
	if err := os.Symlink("/nowhere", filepath.Join(hands, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if got := e.Summary().HandFaults; len(got) != 3 || !strings.Contains(strings.Join(got, "\n"), "dir.yaml: cannot be read: is a directory") {
			t.Errorf("%q", got)
		}
	})
}

// What somebody puts there acts, or is told of: a file by another name is not passed
// over without a word, and one whose time is over says so.
func TestNamesOfFilesOfOverrides(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(dir, HandsDir)
		if err := os.MkdirAll(filepath.Join(folder, "old"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".hidden", "x~", "#x#", "x.swp", "x.bak", ".x.yaml.swp", "jo", "jo.txt"} {
			put(t, filepath.Join(folder, name), drainByFile)
		}
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		pass(20 * time.Second)
		strays := []string{filepath.Join(folder, "jo"), filepath.Join(folder, "jo.txt")}
		if got := e.Summary().HandStrays; !slices.Equal(got, strays) || e.used() != "aws/us-east-1" {
			t.Errorf("not read, and told of: %q; answers from %s", got, e.used())
		}
		if err := os.Rename(strays[0], strays[0]+".yml"); err != nil {
			t.Fatal(err)
		}
		put(t, strays[1]+".yaml", "- {target: gcp/europe-west1, do: down, reason: r, owner: jo, until: 1999-12-31T23:00:00Z}\n")
		pass(1100 * time.Millisecond)
		if e.used() != "gcp/europe-west1" {
			t.Errorf("drained by jo.yml, and answers from %s", e.used())
		}
		if story := fmt.Sprint(e.Journal().Find(journal.Query{})); !strings.Contains(story, "down of gcp/europe-west1 by jo, is over since 1999-12-31T23:00:00Z and does nothing") {
			t.Errorf("the story is %q", story)
		}
	})
}
