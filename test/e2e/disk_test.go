package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// frozenDisk mounts a file system that can be frozen, as a volume that stalls
// with its region does to those that write to it, or skips the test.
func frozenDisk(t *testing.T, dir string) (freeze, thaw func()) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	run := func(args ...string) error {
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w %s", args[0], err, out)
		}
		return nil
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(image, nil, 0o600), os.Truncate(image, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := cmp.Or(run("mkfs.ext4", "-q", image), run("mount", "-o", "loop", image, dir)); err != nil {
		t.Skipf("needs mkfs.ext4 and a loop device: %v", err)
	}
	t.Cleanup(func() {
		_ = run("fsfreeze", "-u", dir)
		_ = run("umount", "-l", dir)
	})
	do := func(flag string) func() {
		return func() {
			if err := run("fsfreeze", flag, dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	return do("-f"), do("-u")
}

// A disk that hangs, as a volume does that stalls with its region: the resolver
// leaves the region all the same, operators act, and everyone is told.
func TestHandsOnADiskThatHangs(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	freeze, thaw := frozenDisk(t, state)
	p := onDisk(t, state)
	freeze()
	p.say(0, notKept+": the disk does not answer", "drain", "aws/us-east-1", "--reason", "test")
	p.eventually("the drain works", func() bool { return p.leads() == gcp })
	p.eventually("status says it", func() bool {
		out, _ := p.resolver("status")
		return strings.Contains(out, "WARNING a restart would forget overrides and what moved: the disk does not answer")
	})
	thaw()
	p.eventually("it is kept when the disk answers", func() bool { out, _ := p.resolver("status"); return !strings.Contains(out, "WARNING") })
	p.again(syscall.SIGKILL)
	p.say(0, "drain", "overrides")
}
