package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// smallDisk mounts a file system of a few megabytes at dir, or skips the test.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=700"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill writes until nothing more fits, and returns what makes room again.
func fill(t *testing.T, dir string) (room func()) {
	t.Helper()
	path := filepath.Join(dir, "fill")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_ = f.Close()
	return func() { _ = os.Remove(path) }
}

// onDisk runs a resolver whose state is in a directory.
func onDisk(t *testing.T, state string) *process {
	t.Helper()
	web := kit.FreePort(t)
	backend(t, aws, web)
	backend(t, gcp, web)
	p := start(t, map[string]string{
		"failover.yaml": strings.Replace(shop("DIR", web, ""), "DIR/state", state, 1),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	})
	p.eventually("checks pass", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "2 of 2 checks up") })
	return p
}

const notKept = "in force, but not on disk: a restart would forget it"

// On a disk that is full from the start an operator's hands work, and everyone is
// told that a restart would forget. When there is room it is kept.
func TestHandsOnAFullDisk(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	smallDisk(t, state)
	room := fill(t, state)
	p := onDisk(t, state)
	p.say(0, notKept, "drain", "aws/us-east-1", "--reason", "test")
	p.eventually("the drain works", func() bool { return p.leads() == gcp })
	p.say(2, "WARNING a restart would forget overrides and what moved", "status")
	p.say(0, "nothing will survive a restart until this is mended", "events")
	room()
	p.eventually("it is kept when there is room", func() bool { out, _ := p.resolver("status"); return !strings.Contains(out, "WARNING") })
	p.again(syscall.SIGKILL)
	p.say(0, "drain", "overrides")
	p.say(0, "nothing will survive a restart until this is mended", "events")
}

// A disk that fills up later: what is acknowledged without a warning is kept.
func TestHandsOnADiskThatFillsUp(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	smallDisk(t, state)
	p := onDisk(t, state)
	room := fill(t, state)
	out, code := p.resolver("drain", "aws/us-east-1", "--reason", "test")
	if code != 0 {
		t.Fatal(out)
	}
	p.eventually("the drain works", func() bool { return p.leads() == gcp })
	p.eventually("the history says that it is in memory only", func() bool {
		p.say(0, "in force", "freeze", "--reason", "to write an event")
		out, _ := p.resolver("status")
		return strings.Contains(out, "WARNING events are kept in memory only: history of events: write")
	})
	p.again(syscall.SIGKILL)
	if kept, _ := p.resolver("overrides"); strings.Contains(out, notKept) == strings.Contains(kept, "drain") {
		t.Errorf("it was said\n%s\nand after a crash there is\n%s", out, kept)
	}
	room()
}

// On a read-only disk it is the same.
func TestHandsOnAReadOnlyDisk(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	smallDisk(t, state)
	if err := syscall.Mount("", state, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("needs to mount a file system read-only: %v", err)
	}
	p := onDisk(t, state)
	p.say(0, notKept, "drain", "aws/us-east-1", "--reason", "test")
	p.eventually("the drain works", func() bool { return p.leads() == gcp })
	p.say(0, notKept, "undrain", "aws/us-east-1")
	p.say(0, "no overrides", "overrides")
	p.say(0, "override on aws/us-east-1 lifted", "events")
}
