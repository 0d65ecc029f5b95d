package lab

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// fleet is forty services with a pool in one region: 29 on a machine there that
// will fall silent, two on one that will refuse, and nine that have it as their
// last reserve.
func (l *lab) fleet() string {
	silent, refusing, fine := l.addr(1, 2), l.addr(1, 3), l.addr(1, 4)
	gcp, azure := l.of("gcp"), l.of("azure")
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
monitors:
  web: {type: http, port: 80, path: /healthz}
  sql: {type: tcp, port: 80}
self: {zone: onprem/fra1, checks: ["tcp://%s:80", "tcp://%s:80"]}
defaults: {monitor: {interval: 1s, timeout: 1s}}
state: {dir: %s}
admin: {listen: "unix://%s"}
services:
  pay.example.org: {monitors: [web], pools: [{aws/us-east-1: [%s]}, {gcp/europe-west1: [%s]}, {azure/westeurope: [%s]}]}
`, gcp, azure, filepath.Join(l.dir, "state"), filepath.Join(l.dir, "admin.sock"), silent, gcp, azure)
	service := func(n int, monitor string, pools ...string) {
		fmt.Fprintf(&b, "  s%02d.example.org: {monitors: [%s], pools: [{%s}]}\n", n, monitor, strings.Join(pools, "}, {"))
	}
	for n := range 39 {
		aws, monitor := "aws/us-east-1: ["+silent+"]", []string{"web", "sql"}[n%2]
		g, a := "gcp/europe-west1: ["+gcp+"]", "azure/westeurope: ["+azure+"]"
		switch {
		case n < 3:
			service(n, monitor, aws, a, g)
		case n < 28:
			service(n, monitor, aws, g, a)
		case n < 30:
			service(n, monitor, "aws/us-east-1: ["+refusing+"]", g, a)
		default:
			service(n, monitor, g, a, "aws/us-east-1: ["+fine+"]")
		}
	}
	b.WriteString("  shop.example.org: {monitors: [web], pools: [{gcp/europe-west1: [" + gcp + "]}, {azure/westeurope: [" + azure + "]}]}\n")
	return b.String()
}

// TestThePageAtNight: a region fails in earnest, and the page opens with what an
// operator needs: what failed and why, who moved where, who is left without a
// backup and what would give one, and when traffic returns at the earliest.
func TestThePageAtNight(t *testing.T) {
	l := newLab(t)
	t.Parallel()
	for _, p := range []string{"aws", "gcp", "azure"} {
		l.backend(p)
	}
	l.in("aws", "ip", "addr", "add", l.addr(1, 3)+"/24", "dev", fmt.Sprintf("d%daws", l.octet))
	l.in("aws", "ip", "addr", "add", l.addr(1, 4)+"/24", "dev", fmt.Sprintf("d%daws", l.octet))
	refusing := l.nginx("aws", l.addr(1, 3))
	l.nginx("aws", l.addr(1, 4))
	res := l.resolver(l.fleet())
	defer func() {
		if t.Failed() {
			t.Logf("the resolver said:\n%s", res.out.String())
		}
	}()
	l.eventually(20*time.Second, "all is well", func() bool { return strings.HasPrefix(l.say("status"), "HEALTHY") })
	l.say("drain", "pay.example.org/"+l.of("azure"), "--reason", "cable work", "--owner", "jo", "--for", "3h")

	l.dark("aws")
	refusing()
	l.eventually(30*time.Second, "the region is down and left", func() bool {
		out := l.say("status")
		return strings.Contains(out, "DOWN since") && strings.Contains(out, "timeout 29, refused 2") && strings.Contains(out, "moved     31 services")
	})
	page, code := l.resolverSays("status")
	t.Logf("exit code %d\n%s", code, page)
	if code != 2 {
		t.Errorf("exit code %d, want 2: a service lost its last backup", code)
	}
	const clock = `\d\d:\d\d:\d\d`
	for i, want := range []string{
		`DEGRADED  aws/us-east-1 DOWN since ` + clock + ` \(\d+ s\): 31 of 40 services have nothing Up there; causes timeout 29, refused 2`,
		`do        resolver undrain pay\.example\.org/` + regexp.QuoteMeta(l.of("azure")) + `  # gives pay\.example\.org a backup; ask jo first: cable work`,
		`          resolver drain aws/us-east-1 --reason R  # keeps services away until you trust it again; until then it is no backup either`,
		`moved     31 services -> gcp/europe-west1 \(28\), azure/westeurope \(3\)   last move ` + clock + `   clients follow by ` + clock,
		`at risk   pay\.example\.org has NO backup \(azure/westeurope drained by jo until .*: undrain would give one\)`,
		`hands     1 override, freeze off, brake off, self-checks pass, cap 1 of 1 used`,
		`          drain pay\.example\.org/` + regexp.QuoteMeta(l.of("azure")) + ` by jo until .*: cable work`,
		`next      earliest failback to aws/us-east-1 at ` + clock + `, if Up from now on`,
		`config    [0-9a-f]{8} of \d+ s ago, decisions [0-9a-f]{16}, \d+ of \d+ checks up, started \d+ s ago \(` + clock + `\)`,
	} {
		if got := strings.Split(page, "\n")[i]; !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("line %d is\n%s\nwant\n%s", i+1, got, want)
		}
	}
	events := l.say("events", "--flat")
	for _, want := range []string{
		"1 endpoint down in aws/us-east-1 (" + l.addr(1, 2) + "): timeout", "1 endpoint down in aws/us-east-1 (" + l.addr(1, 3) + "): refused",
		"region aws/us-east-1 is down", "aws/us-east-1 -> gcp/europe-west1", "drain of pay.example.org/" + l.of("azure") + " by jo",
	} {
		if !strings.Contains(events, want) {
			t.Errorf("the events lack %q:\n%s", want, events)
		}
	}
	if out := l.say("probe", "s05.example.org"); !strings.Contains(out, "timeout") || !strings.Contains(out, "1 of 3 probes failed") {
		t.Errorf("a probe by hand says\n%s", out)
	}
}

// nginx runs a web server on one more address of a place, and returns what ends it.
func (l *lab) nginx(place, ip string) (end func()) {
	p := l.web(place, ip, ip)
	return func() {
		_ = p.cmd.Process.Kill() // "ip netns exec" has become nginx
		_, _ = p.cmd.Process.Wait()
	}
}

// say runs the command against the resolver and returns what it said.
func (l *lab) say(args ...string) string {
	l.t.Helper()
	out, _ := l.resolverSays(args...)
	return out
}

func (l *lab) resolverSays(args ...string) (out string, code int) {
	l.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(bin, append(args, "--admin", "unix://"+filepath.Join(l.dir, "admin.sock"))...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		l.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}
