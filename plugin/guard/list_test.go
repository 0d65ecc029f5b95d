package guard

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// TestAFileThatHangs holds that a file of names which does not answer, as on a
// network disk that is gone, holds up nothing, and is taken in when it does.
func TestAFileThatHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.txt")
	if err := os.WriteFile(path, []byte("a.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newList()
	l.file = path
	if err := l.readFile(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil { // whoever opens it waits until somebody writes
		t.Skipf("needs a named pipe: %v", err)
	}
	changed := make(chan struct{}, 1)
	now := guard.At(time.Now())
	for range 10 {
		l.refresh(now, func() { changed <- struct{}{} }) // or this test never ends
		now = now.Add(time.Minute)
	}
	if how, _ := l.match("a.example."); how != listed || !l.hung {
		t.Errorf("matched %v, told that it hangs: %v", how, l.hung)
	}
	if err := os.WriteFile(path, []byte("b.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-changed
	if how, _ := l.match("b.example."); how != listed {
		t.Error("what it says at last is not taken in")
	}
}
