package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// The stories of operators' hands, with the real command against a real resolver.

// pair is a resolver with one service over two regions that can be cut off.
type pair struct {
	*process
	port     string
	aws, gcp *http.Server
}

const (
	aws = "127.0.1.1"
	gcp = "127.0.2.1"
)

// beginPair runs a resolver over two healthy regions. more are further keys of the
// service.
func beginPair(t *testing.T, more string) *pair {
	t.Helper()
	p := &pair{port: kit.FreePort(t)}
	p.aws, p.gcp = backend(t, aws, p.port), backend(t, gcp, p.port)
	yaml := strings.Replace(shop("DIR", p.port, ""), "    port: 443\n    alpn: [h2]\n", more, 1)
	p.process = start(t, map[string]string{
		"failover.yaml": strings.NewReplacer("interval: 500ms", "interval: 200ms", "timeout: 500ms", "timeout: 200ms").Replace(yaml),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	})
	p.follows(aws)
	p.eventually("all is up", func() bool { out, _ := p.resolver("status"); return strings.HasPrefix(out, "HEALTHY") })
	return p
}

func (p *pair) follows(ip string) {
	p.t.Helper()
	p.eventually("answers lead to "+ip, func() bool { return p.leads() == ip })
}

// stays asks a few times: the answer must not move.
func (p *pair) stays(ip, why string) {
	p.t.Helper()
	for range 20 {
		if got := p.leads(); got != ip {
			p.t.Fatalf("%s: answers lead to %s, want %s", why, got, ip)
		}
	}
}

// A manual failback outlives an upgrade, and a crash: only the operator moves it.
func TestRestartKeepsAManualFailback(t *testing.T) {
	p := beginPair(t, "    failback: {mode: manual}\n")
	_ = p.aws.Close()
	p.follows(gcp)
	p.aws = backend(t, aws, p.port)
	p.eventually("the first region is up", func() bool {
		out, _ := p.resolver("probe", "shop.example.org")
		return strings.Contains(out, "0 of 2 probes failed")
	})
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p.again(how)
		p.eventually("checks pass again", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "2 of 2 checks up") })
		p.stays(gcp, "after "+how.String())
	}
	p.say(1, "shop.example.org waits for an operator to go back to aws/us-east-1", "status")
	p.say(0, "1 pool takes its traffic back", "failback", "shop.example.org", "--now", "--reason", "checked")
	p.follows(aws)
	p.say(0, "failback of shop.example.org asked for", "events", "--target", "shop.example.org")
}

// A drain that ends by itself lets traffic back by failback and ramp, never at
// once.
func TestADrainEndsSlowly(t *testing.T) {
	p := beginPair(t, "    failback: {after: 4s, ramp: [50, 100], step: 3s}\n    hold_down: {step: 1s}\n")
	p.say(0, "aws/us-east-1 -> gcp/europe-west1", "drain", "aws/us-east-1", "--reason", "migration", "--for", "2s")
	p.follows(gcp)
	p.eventually("the drain ends", func() bool { out, _ := p.resolver("events"); return strings.Contains(out, "its time is over") })
	p.stays(gcp, "right after its end")
	p.say(0, "healthy again, failback begins in", "explain", "shop.example.org")
	p.eventually("the ramp begins", func() bool {
		out, _ := p.resolver("explain", "shop.example.org")
		return strings.Contains(out, "ramp lets in 50 %")
	})
	p.follows(aws)
	p.eventually("all is back", func() bool { out, _ := p.resolver("status"); return strings.HasPrefix(out, "HEALTHY") })
}

// Drains of all that a service has, in any order, leave it an answer: the youngest
// does not act, and everyone sees it.
func TestDrainsOfEverything(t *testing.T) {
	p := beginPair(t, "")
	p.say(0, "in force", "drain", "aws/us-east-1", "--reason", "bad graph", "--owner", "ann")
	p.follows(gcp)
	p.say(1, "without a ready region", "drain", "gcp/europe-west1", "--reason", "another bad graph", "--owner", "bob")
	p.say(0, "in force", "drain", "gcp/europe-west1", "--reason", "another bad graph", "--owner", "bob", "--break-glass")
	p.stays(gcp, "with both drained")
	p.say(2, "VOID for 1 service that it would leave nothing: shop.example.org", "status")
	p.say(0, "would be left without any endpoint by a drain", "events")
	p.again(syscall.SIGKILL) // what was acknowledged is on disk
	p.say(0, "bob", "overrides")
	p.stays(gcp, "after a crash")
	p.say(0, "ended", "undrain", "gcp/europe-west1")
	p.say(0, "ended", "undrain", "aws/us-east-1")
}

// A drained region that is healthy while the other is dark: the page says what
// would end it.
func TestADrainThatHidesTheCure(t *testing.T) {
	p := beginPair(t, "")
	p.say(0, "in force", "drain", "aws/us-east-1", "--reason", "patching", "--owner", "jo")
	p.follows(gcp)
	_ = p.gcp.Close()
	p.eventually("panic", func() bool {
		_, code := p.resolver("status")
		out, _ := p.resolver("status")
		return code == 2 && strings.HasPrefix(out, "PANIC")
	})
	p.stays(gcp, "a drained endpoint is never answered")
	p.say(2, "shop.example.org has NOTHING HEALTHY (aws/us-east-1 drained by jo until ", "status")
	p.say(2, ": undrain would end this)", "status")
	p.say(0, "undraining it would end this", "explain", "shop.example.org")
	p.say(0, "ended: drain", "undrain", "aws/us-east-1")
	p.follows(aws)
	p.say(0, "in force", "drain", "aws/us-east-1", "--reason", "patching on", "--last-resort", "--break-glass")
	p.stays(aws, "drained, but allowed rather than what is dark")
}

// A freeze that was forgotten ends by itself, and the move that it kept is made.
func TestAFreezeIsForgotten(t *testing.T) {
	p := beginPair(t, "")
	p.say(0, "(1h0m0s)", "freeze", "--reason", "incident", "--owner", "jo")
	p.say(0, "ended", "unfreeze")
	p.say(0, "in force: freeze of everything", "freeze", "--reason", "incident", "--owner", "jo", "--for", "3s")
	_ = p.aws.Close()
	p.eventually("the move is kept back", func() bool {
		out, _ := p.resolver("status")
		return strings.Contains(out, "1 service would move, but is frozen")
	})
	p.stays(aws, "frozen")
	p.say(0, "would move, but an operator froze it", "events")
	p.follows(gcp)
	p.say(0, "freeze of everything by jo ended: its time is over", "events")
}

// Overrides that nobody can give to the API work as files.
func TestHandsWithoutTheAPI(t *testing.T) {
	p := beginPair(t, "")
	file := filepath.Join(p.dir, "state", "overrides.d", "drain.yaml")
	text := "- {target: aws/us-east-1, do: drain, reason: API is gone, owner: jo}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.follows(gcp)
	p.say(1, "remove it there", "undrain", "aws/us-east-1")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.eventually("the drain is lifted", func() bool { out, _ := p.resolver("overrides"); return strings.Contains(out, "no overrides") })
}

// The events are told while they happen, as lines and as JSON.
func TestEventsFollow(t *testing.T) {
	p := beginPair(t, "")
	var out kit.Output
	cmd := command(p, "events", "--follow", "--json", "--since", "1h")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.say(0, "in force", "drain", "aws/us-east-1", "--reason", "r", "--owner", "jo")
	p.eventually("the drain is told", func() bool { return strings.Contains(out.String(), `"kind":"move"`) })
	p.again(syscall.SIGTERM)
	p.say(0, "ended", "undrain", "aws/us-east-1")
	p.eventually("a resolver that was restarted is followed", func() bool { return strings.Contains(out.String(), "lifted") })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	last := 0.0
	for line := range strings.Lines(out.String()) {
		var e struct {
			ID   float64
			Kind string
		}
		if strings.HasPrefix(line, "resolver: ") {
			continue // it was away for a moment
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID <= last || e.Kind == "" {
			t.Errorf("%v after %f: %s", err, last, line)
		}
		last = e.ID
	}
}

// The questions about what would be, asked with the command.
func TestForesight(t *testing.T) {
	p := beginPair(t, "")
	p.say(0, "OK  if aws/us-east-1 were silent", "simulate", "--down", "aws/us-east-1")
	p.say(2, "NOT OK", "simulate", "--down", "aws/us-east-1,gcp/europe-west1")
	p.say(1, "did you mean aws/us-east-1", "simulate", "--down", "aws/us-east-2")
	p.say(0, "nothing would change", "check", "--against", "running", filepath.Join(p.dir, "failover.yaml"))
	text, err := os.ReadFile(filepath.Join(p.dir, "failover.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if strings.Contains(line, "- aws/us-east-1") {
			lines[i], lines[i+1] = lines[i+1], line
			break
		}
	}
	p.write("next.yaml", strings.Join(lines, ""))
	p.say(0, "1 service would answer from elsewhere", "check", "--against", "running", filepath.Join(p.dir, "next.yaml"))
	p.say(0, fmt.Sprintf("%s:%s", aws, p.port), "probe", "shop.example.org")
	_ = p.aws.Close()
	p.say(1, "refused", "probe", "shop.example.org/"+aws)
}
