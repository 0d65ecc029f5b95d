package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// resolver runs the command against the running resolver, and returns what it said
// and its exit code.
func (p *process) resolver(args ...string) (string, int) {
	p.t.Helper()
	return run(p.t, p.bin, append(args, "--admin", "unix://"+filepath.Join(p.dir, "admin.sock"))...)
}

// say is resolver with what must come of it.
func (p *process) say(wantCode int, want string, args ...string) {
	p.t.Helper()
	if out, code := p.resolver(args...); code != wantCode || !strings.Contains(out, want) {
		p.t.Errorf("resolver %s: exit %d, want %d and %q:\n%s", strings.Join(args, " "), code, wantCode, want, out)
	}
}

// TestHands drains, undrains and fails back with the command, against a running
// resolver on its unix socket.
func TestHands(t *testing.T) {
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	p := start(t, map[string]string{
		"failover.yaml": shop("DIR", web, ""),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	})
	p.eventually("answers lead to the first region", func() bool { return p.leads() == "127.0.1.1" })
	say := p.say
	say(1, "reason is missing", "drain", "aws/us-east-1")
	say(1, "did you mean aws/us-east-1", "drain", "aws/us-east-2", "--reason", "test")
	say(0, "nothing is changed", "drain", "aws/us-east-1", "--reason", "test", "--dry-run")
	if got := p.leads(); got != "127.0.1.1" {
		t.Errorf("a dry run moved answers to %s", got)
	}
	say(0, "aws/us-east-1 -> gcp/europe-west1", "drain", "aws/us-east-1", "--reason", "test", "--for", "10m")
	p.eventually("the drained region is left", func() bool { return p.leads() == "127.0.2.1" })
	say(1, "--break-glass", "drain", "gcp/europe-west1", "--reason", "oops")
	say(0, "aws/us-east-1", "overrides")
	say(0, "ended: drain", "undrain", "aws/us-east-1")
	say(0, "1 pool", "failback", "aws/us-east-1", "--reason", "checked")
	p.eventually("the ramp begins", func() bool { return p.leads() == "127.0.1.1" })
	say(0, "freeze of everything", "freeze", "--reason", "test")
	say(0, "ended: freeze", "unfreeze")
	say(0, "no overrides, no freeze", "overrides")
}
