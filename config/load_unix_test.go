//go:build unix

package config

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to must not hold up a start or a reload.
func TestLoadPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "failover.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "it is a pipe, a socket or a device: name a file") {
		t.Errorf("got %v", err)
	}
}
