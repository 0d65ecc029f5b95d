package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"
)

type record struct{ N int }

func openTest(t *testing.T, dir string) *Store {
	t.Helper()
	s, notice, err := Open(dir)
	if err != nil || notice != "" {
		t.Fatalf("Open: notice %q, error %v", notice, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRecordsSurvive(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	if err := s.Write(Record{Checks, "a", record{1}}, Record{Checks, "b", record{2}}, Record{Overrides, "x", record{3}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(Record{Checks, "a", nil}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s = openTest(t, dir)
	got, damaged, err := Read[record](s, Checks)
	if err != nil || damaged != 0 || len(got) != 1 || got["b"].N != 2 {
		t.Errorf("checks = %v, %d damaged, %v", got, damaged, err)
	}
	if info, _ := os.Stat(s.Path()); info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
}

func TestReplaceForgetsTheRest(t *testing.T) {
	s := openTest(t, t.TempDir())
	if err := s.Write(Record{Services, "old", record{1}}); err != nil {
		t.Fatal(err)
	}
	if err := Replace(s, Services, map[string]record{"new": {2}}); err != nil {
		t.Fatal(err)
	}
	got, _, _ := Read[record](s, Services)
	if len(got) != 1 || got["new"].N != 2 {
		t.Errorf("services = %v", got)
	}
}

func TestDamagedRecordIsLeftOut(t *testing.T) {
	s := openTest(t, t.TempDir())
	if err := s.Write(Record{Checks, "good", record{1}}); err != nil {
		t.Fatal(err)
	}
	err := s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(Checks)).Put([]byte("bad"), []byte("12345{}")) })
	if err != nil {
		t.Fatal(err)
	}
	got, damaged, err := Read[record](s, Checks)
	if err != nil || damaged != 1 || len(got) != 1 {
		t.Errorf("checks = %v, %d damaged, %v", got, damaged, err)
	}
}

func TestBusyFileIsSaid(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	if _, _, err := Open(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("second Open: %v, want ErrBusy", err)
	}
}

func TestUnusableFileIsSetAside(t *testing.T) {
	good := t.TempDir()
	s := openTest(t, good)
	big := map[string]record{}
	for i := range 500 {
		big[string(rune('a'+i%26))+string(rune('a'+i/26))] = record{i}
	}
	if err := Replace(s, Checks, big); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	whole, err := os.ReadFile(filepath.Join(good, FileName))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	for i := 2 * 4096; i < len(flipped); i++ {
		flipped[i] ^= 0xff
	}
	for name, content := range map[string][]byte{
		"foreign": []byte("this is not a database\n"),
		"zeros":   make([]byte, 1<<16),
		"halved":  whole[:len(whole)/2],
		"page":    whole[:4096],
		"flipped": flipped,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, FileName), content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, notice, err := Open(dir)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			defer s.Close() //nolint:errcheck // the test is over
			if notice == "" {
				t.Error("nothing was said of the bad file")
			}
			if kept, _ := filepath.Glob(filepath.Join(dir, FileName+".bad-*")); len(kept) != 1 {
				t.Errorf("set aside: %v, want one file", kept)
			}
			if err := s.Write(Record{Checks, "a", record{1}}); err != nil {
				t.Errorf("the fresh file does not work: %v", err)
			}
		})
	}
}

func TestRemedy(t *testing.T) {
	full := fmt.Errorf("write: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if got := remedy(full, "/d"); got != "make room in /d" {
		t.Error(got)
	}
	if got := remedy(os.ErrPermission, "/d"); got != "check that /d is writable for this user" {
		t.Error(got)
	}
}

func TestUnwritableDirectoryIsSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(filepath.Join(dir, "state")); err == nil {
		t.Error("Open below a file succeeded")
	}
}

// FuzzOpen feeds Open files that are nearly ours: it must say something or work,
// never crash, never hang.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	s, _, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Write(Record{Checks, "a", record{1}}); err != nil {
		f.Fatal(err)
	}
	_ = s.Close()
	whole, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), byte(0), uint32(len(whole)))
	f.Add(uint32(16), byte(0xff), uint32(len(whole)))
	f.Add(uint32(3*4096), byte(1), uint32(len(whole)/2))
	f.Fuzz(func(t *testing.T, at uint32, flip byte, size uint32) {
		b := bytes.Clone(whole)[:min(int(size), len(whole))]
		if len(b) > 0 {
			b[int(at)%len(b)] ^= flip
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := Open(dir)
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		_, _, _ = Read[record](s, Checks)
		_ = s.Close()
	})
}

// TestReleaseLosesNothing holds that what was read can be read again after its
// memory was given back.
func TestReleaseLosesNothing(t *testing.T) {
	s, _, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	if err := s.Write(Record{Meta, "a", 1}, Record{Meta, "b", 2}); err != nil {
		t.Fatal(err)
	}
	s.Release()
	if err := s.Write(Record{Meta, "c", 3}); err != nil {
		t.Fatal(err)
	}
	if got, damaged, err := Read[int](s, Meta); err != nil || damaged != 0 || len(got) != 3 {
		t.Errorf("%v, %d damaged, %v", got, damaged, err)
	}
}
