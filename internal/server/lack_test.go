//go:build unix

package server

import (
	"syscall"
	"testing"
)

// TestNoDescriptorsForTheCorefile: a Corefile that this process cannot open for want of
// descriptors is not refused.
func TestNoDescriptorsForTheCorefile(t *testing.T) {
	s := start(t, Options{Corefile: write(t, says(freePort(t), "one", ""))})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none := old
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := s.reloadIfChanged()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err != nil || s.rejected != nil {
		t.Errorf("refused: %v, %+v", err, s.rejected)
	}
}
