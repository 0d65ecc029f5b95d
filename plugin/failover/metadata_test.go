package failover_test

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/server"
	"github.com/detour-dns/detour/test/kit"
)

// TestLogSaysWhatWasDecided serves a Corefile with metadata and log, asks, and
// reads the log.
func TestLogSaysWhatWasDecided(t *testing.T) {
	dir, port := t.TempDir(), kit.FreePort(t)
	for name, text := range map[string]string{
		"Corefile": ".:" + port + ` {
    bind 127.0.0.1
    metadata
    log . "asked {name} {type} {/failover/service} {/failover/region} {/failover/reason} {/failover/panic}"
    failover ` + dir + `/failover.yaml
    whoami
}
`,
		// Nothing listens on port 9, and one failure turns nothing down.
		"failover.yaml": `
monitors: {up: {type: tcp, port: 9, interval: 1h, timeout: 10s, confirm: 1m}}
services:
  shop.example.org: {monitors: [up], port: 443, srv: [_https._tcp], pools: [{aws/us-east-1: [127.0.1.1]}, {gcp/europe-west1: [127.0.2.1]}]}
  gone.example.org: {monitors: [up], pools: [{aws/us-east-1: [127.0.1.1]}], last_resort: {mode: none}}
overrides: [{target: gone.example.org, do: down, reason: test, owner: test}]
probes: {allow_targets: [127.0.0.0/8]}
admin: off
state: {dir: ` + dir + `/state}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out kit.Output
	log.SetOutput(&out)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	srv, err := server.Start(server.Options{Corefile: filepath.Join(dir, "Corefile")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := dns.Client{Timeout: time.Second}
	ask := func(name string, qt uint16) bool {
		_, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qt), "127.0.0.1:"+port)
		return err == nil
	}
	ask("shop.example.org.", dns.TypeA)
	ask("shop.example.org.", dns.TypeMX)
	ask("_https._tcp.shop.example.org.", dns.TypeSRV)
	ask("gone.example.org.", dns.TypeA)
	ask("other.example.org.", dns.TypeA)
	for _, want := range []string{
		"asked shop.example.org. A shop.example.org aws/us-east-1 policy false",
		"asked shop.example.org. MX - - - -", // answered below: nothing was decided
		"asked _https._tcp.shop.example.org. SRV shop.example.org aws/us-east-1 policy false",
		"asked gone.example.org. A gone.example.org none panic true",
		"asked other.example.org. A - - - -",
	} {
		if err := kit.Every(10*time.Millisecond, 5*time.Second, func() bool { return strings.Contains(out.String(), want) }); err != nil {
			t.Errorf("the log has no line %q:\n%s", want, out.String())
		}
	}
}
