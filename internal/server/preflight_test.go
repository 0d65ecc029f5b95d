package server

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestBindErrors holds that each reason why an address cannot be listened on comes with
// what to do.
func TestBindErrors(t *testing.T) {
	for want, got := range map[string]string{
		"DNSStubListener=no": by("", "127.0.0.1:53"), "by another process": by("", "127.0.0.1:54"), "by nginx": by("nginx (process 7)", "127.0.0.1:53"),
		"AmbientCapabilities=": without(true),
		"CAP_NET_BIND_SERVICE": bindError("udp", "127.0.0.1:53", "move", syscall.EACCES).Error(),
		"no such address":      bindError("udp", "192.0.2.1:53", "move", syscall.EADDRNOTAVAIL).Error(),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q has no %q", got, want)
		}
	}
	if without(false) != "" || strings.Contains(by("", "127.0.0.1:54"), "systemd") {
		t.Error("a hint where it is none")
	}
}

// TestNoNewPrivs reads what the kernel says of this process and of one with the flag.
func TestNoNewPrivs(t *testing.T) {
	if os.Getenv("DETOUR_TEST_PRIVS") != "" {
		if !noNewPrivs() {
			t.Error("not seen")
		}
		return
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("needs setpriv (Debian: util-linux)")
	}
	if noNewPrivs() {
		t.Skip("this process has the flag itself")
	}
	c := exec.Command(setpriv, "--no-new-privs", os.Args[0], "-test.run", "^TestNoNewPrivs$")
	c.Env = append(os.Environ(), "DETOUR_TEST_PRIVS=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
