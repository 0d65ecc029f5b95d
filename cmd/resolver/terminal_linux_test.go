package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/detour-dns/detour/internal/admin"
)

// terminals gives both ends of a terminal of 80 x 24.
func terminals(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// On a real terminal a status is watched with colors, filtered, and left with q; NO_COLOR
// leaves the colors out. The terminal is as before then.
func TestWatchOnATerminal(t *testing.T) {
	addr := fake(t, admin.Status{
		State: "healthy", Sentence: "x", Services: []admin.Service{{Name: "api.example.org", State: "ok"}, {Name: "shop.example.org", State: "ok"}},
	})
	for env, colored := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false} {
		master, slave := terminals(t)
		before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, "status", "--watch", "--admin", addr)
		cmd.Env = append(cmd.Env, env, "TERM=xterm")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen := reads(master)
		all := until(t, seen, "shop.example.org")
		_, _ = master.WriteString("/api\r")
		filtered := until(t, seen, "only rows with api")
		_, _ = master.WriteString("q")
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("the terminal is left otherwise: %v", err)
		}
		last := filtered[strings.LastIndex(filtered, home):]
		if strings.Contains(all, green) != colored || strings.Contains(last, "shop.example.org") || !strings.Contains(last, "api.example.org") {
			t.Errorf("%s: %q, then %q", env, all, last)
		}
	}
}

// reads sends what is written to a terminal.
func reads(master io.Reader) <-chan string {
	out := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				close(out)
				return
			}
			out <- string(buf[:n])
		}
	}()
	return out
}

// until gathers what is written until a text was, and the rest of that screen.
func until(t *testing.T, seen <-chan string, want string) (all string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case text, ok := <-seen:
			all += text
			if at := strings.Index(all, want); at >= 0 && strings.Contains(all[at:], restOfPage) {
				return all
			}
			if !ok {
				t.Fatalf("it ended: %q", all)
			}
		case <-deadline:
			t.Fatalf("%q was never written: %q", want, all)
		}
	}
}
