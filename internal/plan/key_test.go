package plan

import (
	"net/netip"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// with returns a service of one pool whose monitors, m and maybe others, are these.
func with(t *testing.T, monitors string) *Plan {
	t.Helper()
	cfg := load(t, "monitors: {"+monitors+"}\nservices: {shop.example.org: {monitors: [m], pools: [{aws/us-east-1: [192.0.2.1]}]}}\n")
	return Make(cfg, nil)
}

// TestKeysStay holds the keys of checks letter by letter: the disk and other resolvers
// know health by them, so that an update which writes another one forgets it.
func TestKeysStay(t *testing.T) {
	const every = " every=5s/2s/3/3/3/1s/30s"
	for monitor, want := range map[string]string{
		"type: icmp":                     "icmp 192.0.2.1",
		"type: tcp, port: 5432":          "tcp 192.0.2.1 port=5432",
		"type: tls":                      "tls 192.0.2.1 port=443 host=shop.example.org",
		"type: tls, verify: false":       "tls 192.0.2.1 port=443 host=shop.example.org noverify",
		"type: tls, host: X.example.com": "tls 192.0.2.1 port=443 host=x.example.com",
		"type: https, path: /up, headers: {B: b, A: a}": `https 192.0.2.1 port=443 host=shop.example.org path="/up" method="GET" ` +
			`headers="A: a\nB: b" expect="200-299"`,
		"type: http, method: HEAD, expect: {status: [204, 300-399]}": `http 192.0.2.1 port=80 host=shop.example.org path="/" method="HEAD" ` +
			`expect="204-204 300-399"`,
		"type: http, expect: {body: ok}": `http 192.0.2.1 port=80 host=shop.example.org path="/" method="GET" expect="200-299 body ok"`,
		"type: grpc, port: 50051, service: orders.v1, tls: true, ca_file: /etc/ca.crt": "grpc 192.0.2.1 port=50051 host=shop.example.org " +
			`service="orders.v1" ca="/etc/ca.crt" tls`,
		"type: dns, query: {name: example.org, type: SOA}, expect: {rcode: NXDOMAIN}": "dns 192.0.2.1 port=53 host=shop.example.org " +
			`expect="NXDOMAIN" query="example.org. SOA"`,
	} {
		if got := with(t, "m: {"+monitor+"}").Checks[0].Key; got != want+every {
			t.Errorf("%s:\n %s, want\n %s", monitor, got, want+every)
		}
	}
}

// TestPlainConnectionsVerifyNothing holds that whether to verify is nothing to those who
// show no certificate.
func TestPlainConnectionsVerifyNothing(t *testing.T) {
	ip := netip.MustParseAddrPort("192.0.2.1:443")
	for of, differs := range map[config.MonitorType]bool{config.TCP: false, config.ICMP: false, config.HTTPS: true} {
		on, off := config.Monitor{Type: of, Verify: true}, config.Monitor{Type: of}
		if got := checkKey(&on, ip, "h") != checkKey(&off, ip, "h"); got != differs {
			t.Errorf("%s: verifying or not makes another check: %v, want %v", of, got, differs)
		}
	}
}

// TestBoundsOfServices holds what is promised of a service: by its slowest monitor that
// votes, and by how traffic returns.
func TestBoundsOfServices(t *testing.T) {
	const s = time.Second
	for text, want := range map[string]Bound{
		"monitors: [quick], ttl: {settled: 7s}": {
			Refused: 3*s + publishSlack, Silent: 4*s + publishSlack, TTL: 7 * s, Failback: 5 * time.Minute, Ramp: 3 * time.Minute,
		},
		"monitors: [quick, slow, shown], failback: {after: 90s, ramp: [100]}": {
			Refused: 32*s + publishSlack, Silent: 60*s + publishSlack, TTL: 30 * s, Failback: 90 * s,
		},
		"monitors: [quick], failback: {after: 1s, ramp: [20, 60, 100], step: 40s}, hold_down: {step: 20s}": {
			Refused: 3*s + publishSlack, Silent: 4*s + publishSlack, TTL: 30 * s, Failback: 20 * s, Ramp: 80 * s,
		},
	} {
		cfg := load(t, `
monitors:
  quick: {type: tcp, port: 1, interval: 1s, timeout: 1s}
  slow: {type: tcp, port: 2, interval: 30s, timeout: 10s}
  shown: {type: tcp, port: 3, interval: 600s, votes: false}
services: {shop.example.org: {pools: [{aws/us-east-1: [192.0.2.1]}], `+text+"}}\n")
		svc, _ := cfg.Service("shop.example.org")
		if got := BoundOf(cfg, svc); got != want {
			t.Errorf("%s:\n %+v, want\n %+v", text, got, want)
		}
	}
}
