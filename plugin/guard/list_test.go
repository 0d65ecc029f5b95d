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
	says := make(chan string)
	l.open = func(string, int64) ([]byte, error) { return []byte(<-says), nil }
	changed := make(chan struct{}, 1)
	now := guard.At(time.Now())
	for range 10 {
		l.refresh(now, func() { changed <- struct{}{} }) // or this test never ends
		now = now.Add(time.Minute)
	}
	if how, _ := l.match("a.example."); how != listed || !l.hung {
		t.Errorf("matched %v, told that it hangs: %v", how, l.hung)
	}
	says <- "b.example\n"
	<-changed
	if how, _ := l.match("b.example."); how != listed {
		t.Error("what it says at last is not taken in")
	}
}

// A process that has no descriptor left keeps the names, and says so once; a pipe is
// no file of names, and is not waited for.
func TestAFileThatCannotBeRead(t *testing.T) {
	l := newList()
	l.file = "names.txt"
	l.open = func(string, int64) ([]byte, error) { return []byte("a.example\n"), nil }
	l.reread(func() {})
	l.open = func(string, int64) ([]byte, error) { return nil, syscall.EMFILE }
	l.reread(func() { t.Error("changed") })
	if how, _ := l.match("a.example."); how != listed || !l.lack {
		t.Errorf("matched %v, told of what is lacking: %v", how, l.lack)
	}
	l.open = func(string, int64) ([]byte, error) { return []byte("a.example\n"), nil }
	if l.reread(func() {}); l.lack {
		t.Error("it can be read again")
	}
}
