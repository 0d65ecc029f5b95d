//go:build unix

package files

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func put(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestOwn: what another user may have put in the place of a file of ours is neither
// read nor written to.
func TestOwn(t *testing.T) {
	dir := t.TempDir()
	precious := put(t, filepath.Join(dir, "precious"), "x", 0o600)
	link, second, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "second"), filepath.Join(dir, "pipe")
	target := put(t, filepath.Join(dir, "target"), "x", 0o600)
	if err := errors.Join(os.Symlink(precious, link), os.Link(target, second), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	open := put(t, filepath.Join(dir, "open"), "x", 0o666)
	for path, says := range map[string]string{link: "is a symlink", second: "second name", open: "chmod go-w", pipe: "pipe"} {
		f, err := OpenOwn(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if f != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", path, err, says)
		}
	}
	for _, path := range []string{link, open, pipe} {
		if _, err := ReadOwn(path, 10); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	if data, err := os.ReadFile(precious); string(data) != "x" {
		t.Errorf("written through a symlink: %q, %v", data, err)
	}
	if data, err := ReadOwn(second, 10); string(data) != "x" || err != nil {
		t.Errorf("a second name: %v", err)
	}
	if _, err := ReadOwn(precious, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: only root can make files of another user")
	}
	dir := t.TempDir()
	path := put(t, filepath.Join(dir, "x"), "x", 0o600)
	sub := filepath.Join(dir, "sub")
	if err := errors.Join(os.Mkdir(sub, 0o700), os.Chown(path, 65534, 65534), os.Chown(sub, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOwn(path, 10); !errors.Is(err, ErrDistrusted) || !strings.Contains(err.Error(), "belongs to uid 65534") {
		t.Errorf("a file of another user: %v", err)
	}
	if err := CheckDir(sub); !errors.Is(err, ErrDistrusted) {
		t.Errorf("a directory of another user: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(t.TempDir(), link), os.Lchown(link, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if err := CheckDir(link); !errors.Is(err, ErrDistrusted) {
		t.Errorf("a symlink of another user: %v", err)
	}
	if why := Exposed(path); !strings.Contains(why, "belongs to uid 65534") {
		t.Error(why)
	}
}

func TestDirModes(t *testing.T) {
	for mode, ok := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o777: false, 0o777 | os.ModeSticky: false, 0o702: false} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		if err := CheckDir(dir); (err == nil) != ok {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestFaultOf(t *testing.T) {
	u := user{1000, []int{1000, 50}}
	for _, tt := range []struct {
		st syscall.Stat_t
		ok bool
	}{
		{syscall.Stat_t{Uid: 1000, Mode: 0o600}, true},
		{syscall.Stat_t{Uid: 0, Mode: 0o644}, true},
		{syscall.Stat_t{Uid: 1001, Mode: 0o600}, false},
		{syscall.Stat_t{Uid: 0, Gid: 50, Mode: 0o2775}, true}, // fsGroup of Kubernetes
		{syscall.Stat_t{Uid: 0, Gid: 51, Mode: 0o775}, false},
		{syscall.Stat_t{Uid: 1000, Mode: 0o602}, false},
	} {
		if why := u.fault(&tt.st); (why == "") != tt.ok {
			t.Errorf("%+v: %s", tt.st, why)
		}
	}
}

// TestProjected: a Secret of Kubernetes is read through its symlinks, and its mode is
// no reason to warn; a token that anybody reads is.
func TestProjected(t *testing.T) {
	dir := t.TempDir()
	version := filepath.Join(dir, "..2026_01_01")
	if err := os.Mkdir(version, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(version, "token"), "x", 0o644)
	path := filepath.Join(dir, "token")
	if err := errors.Join(os.Symlink("..2026_01_01", filepath.Join(dir, "..data")), os.Symlink("..data/token", path)); err != nil {
		t.Fatal(err)
	}
	if data, err := Read(path, 10); string(data) != "x" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if why := Exposed(path); why != "" {
		t.Error(why)
	}
	if why := Exposed(put(t, filepath.Join(dir, "plain"), "x", 0o644)); !strings.Contains(why, "can read the secret") {
		t.Errorf("a readable secret: %q", why)
	}
	if err := Steered(put(t, filepath.Join(dir, "open"), "x", 0o622)); !errors.Is(err, ErrDistrusted) {
		t.Errorf("a secret that anybody writes: %v", err)
	}
}

// TestReadDoesNotWait: a pipe and a device are no files.
func TestReadDoesNotWait(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, "/dev/zero", t.TempDir()} {
		done := make(chan error, 1)
		go func() { _, err := Read(path, 10); done <- err }()
		select {
		case err := <-done:
			if !errors.Is(err, ErrNoFile) && !errors.Is(err, syscall.EISDIR) {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waits", path)
		}
	}
}

func TestWriteOwn(t *testing.T) {
	dir := t.TempDir()
	precious := put(t, filepath.Join(dir, "precious"), "x", 0o600)
	path := filepath.Join(dir, "f")
	if err := errors.Join(os.Symlink(precious, path), os.Symlink(precious, path+".next")); err != nil {
		t.Fatal(err)
	}
	if err := WriteOwn(path, func(f *os.File) error { _, err := f.WriteString("new"); return err }); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(precious); string(data) != "x" {
		t.Error("written through a symlink")
	}
	if data, err := ReadOwn(path, 10); string(data) != "new" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLack(t *testing.T) {
	for err, lack := range map[error]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.EIO: true, syscall.EACCES: true,
		syscall.ENOENT: false, ErrTooLarge: false, ErrDistrusted: false,
	} {
		if why, ok := Lack(&os.PathError{Op: "open", Path: "x", Err: err}); ok != lack || (why != "") != lack {
			t.Errorf("%v: %q, %v", err, why, ok)
		}
	}
}
