//go:build unix

package failover

import (
	"strings"
	"syscall"
	"testing"
)

// TestNoDescriptorsForTheFile: a file that this process cannot open for want of
// descriptors is not refused; it is said what is wanting.
func TestNoDescriptorsForTheFile(t *testing.T) {
	f := handler(t, `services: {a.example.org: {monitors: [web], pools: [{aws/x: [192.0.2.1]}]}}`, nil)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	said := f.shared.look("")
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if said != "" || !f.shared.engine().LastReload().OK {
		t.Errorf("refused: %q, %+v", said, f.shared.engine().LastReload())
	}
	if got := f.shared.engine().Summary().Lacks; len(got) != 1 || !strings.Contains(got[0], "no file descriptor left") {
		t.Errorf("lacks %q", got)
	}
	if f.shared.look(""); len(f.shared.engine().Summary().Lacks) != 0 {
		t.Error("still lacks")
	}
}
