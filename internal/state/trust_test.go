//go:build unix

package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/files"
)

// TestDamagedHeader: bbolt goes back to the other header page in silence, which loses
// a transaction. Whichever of them is damaged, it is said, once.
func TestDamagedHeader(t *testing.T) {
	for page := range int64(2) {
		dir := t.TempDir()
		s, _, err := Open(dir)
		if err != nil || s.Doubt() != "" {
			t.Fatal(err, s.Doubt())
		}
		for i := range 3 {
			if err := s.Write(Record{Bucket: Overrides, Key: "aws/us-east-1", Value: i}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{0xff, 0xff}, page*int64(os.Getpagesize())+atTxid-8)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		s, notice, err := Open(dir)
		if err != nil || notice != "" || !strings.Contains(s.Doubt(), "header pages") {
			t.Fatalf("page %d: %v, %q, %q", page, err, notice, s.Doubt())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, _, err = Open(dir); err != nil || s.Doubt() != "" {
			t.Errorf("said again: %v %q", err, s.Doubt())
		}
		_ = s.Close()
	}
}

// TestPlanted: a file that another user may have put in the place of the state file,
// or of its copy, is not used, and nothing is written through a symlink.
func TestPlanted(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(dir, path string) error{
		"a directory of mode 0777": func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"a symlink":                func(_, path string) error { return os.Symlink(other, path) },
		"a file that all write to": func(_, path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666)) },
		"a file of another user": func(_, path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 65534, 65534))
		},
		"a directory of another user": func(dir, _ string) error { return os.Chown(dir, 65534, 65534) },
	} {
		if strings.HasSuffix(name, "another user") && os.Getuid() != 0 {
			t.Logf("skipped: %s: only root gives files away", name)
			continue
		}
		dir := filepath.Join(t.TempDir(), "state")
		if err := errors.Join(os.Mkdir(dir, 0o700), plant(dir, filepath.Join(dir, FileName))); err != nil {
			t.Fatal(err)
		}
		s, notice, err := Open(dir)
		if s != nil || notice != "" || !errors.Is(err, files.ErrDistrusted) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %q", name, err, notice)
		}
	}
	if info, err := os.Stat(other); err != nil || info.Size() != 0 {
		t.Error("written through a symlink")
	}
}

// TestPlantedCopy: what stands beside the file by a symlink is neither read nor
// written through.
func TestPlantedCopy(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	link := copied(filepath.Join(dir, FileName))
	if err := errors.Join(os.Symlink(other, link), os.Symlink(other, link+".next")); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadCopy[int](dir, Overrides); !errors.Is(err, files.ErrDistrusted) {
		t.Errorf("read: %v", err)
	}
	if err := s.Keep(); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(other); string(text) != "x" {
		t.Error("written through a symlink")
	}
	if _, err := ReadCopy[int](dir, Overrides); err != nil {
		t.Error(err)
	}
}
