package failover

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/whoami"
	"github.com/miekg/dns"
)

// start runs a CoreDNS made of a few plugins in this order: the way of those who
// build their own.
func start(t *testing.T, order []string, corefile string) (*caddy.Instance, error) {
	t.Helper()
	old := dnsserver.Directives
	dnsserver.Directives, dnsserver.Quiet = order, true
	inst, err := caddy.Start(caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "Corefile", ServerTypeName: "dns"})
	t.Cleanup(func() {
		if err == nil {
			inst.ShutdownCallbacks()
			_ = inst.Stop()
		}
		dnsserver.Directives = old
	})
	return inst, err
}

// TestInACoreDNSOfOnesOwn: the plugin works in any CoreDNS, and refuses the order
// in which services would never be signed.
func TestInACoreDNSOfOnesOwn(t *testing.T) {
	dir := t.TempDir()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "example.org.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	secret, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"K.key": key.String(), "K.private": key.PrivateKeyString(secret),
		// A disabled second endpoint would do as well; nothing here is ever probed.
		"failover.yaml": "monitors: {web: {type: tcp, port: 1, interval: 1h}}\nprobes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\n" +
			"state: {dir: " + dir + "/state}\nservices: {shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	corefile := fmt.Sprintf(".:0 {\n failover %s/failover.yaml\n dnssec example.org {\n  key file %s/K\n }\n whoami\n}\n", dir, dir)
	if _, err := start(t, []string{"failover", "dnssec", "whoami"}, corefile); err == nil || !strings.Contains(err.Error(), "directly above failover") {
		t.Errorf("dnssec below failover: %v, want it refused", err)
	}
	inst, err := start(t, []string{"dnssec", "failover", "whoami"}, corefile)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(inst.Servers()[0].LocalAddr().String())
	m, err := dns.Exchange(question("shop.example.org.", dns.TypeA), "127.0.0.1:"+port)
	if err != nil || len(m.Answer) != 1 {
		t.Errorf("answer %v, %v", m, err)
	}
}

// Who answers for a name that is no service is told from the server blocks in use.
func TestWhoAnswers(t *testing.T) {
	dir := t.TempDir()
	yaml := "monitors: {web: {type: tcp, port: 1, interval: 1h}}\nprobes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\nzones: {gslb.example.org: {ns: [ns1.example.org], mbox: h.example.org}}\n" +
		"state: {dir: " + dir + "/state}\nservices: {shop.gslb.example.org: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}}\n"
	for name, text := range map[string]string{"failover.yaml": yaml, "hosts": "10.0.0.1 a.intern.example.com\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	corefile := fmt.Sprintf(".:0 {\n failover %[1]s/failover.yaml\n cache 30\n forward . 127.0.0.1:9 127.0.0.2:9\n}\nintern.example.com:0 {\n failover %[1]s/failover.yaml\n hosts %[1]s/hosts intern.example.com\n}\n", dir)
	if _, err := start(t, []string{"failover", "cache", "hosts", "forward"}, corefile); err != nil {
		t.Fatal(err)
	}
	s := engines.get(dir + "/failover.yaml")
	for name, want := range map[string]string{
		"www.example.com.":      "the server block for . asks, in this order: cache, forward to 127.0.0.1:9, 127.0.0.2:9",
		"x.gslb.example.org.":   "it lies in the zone gslb.example.org, which failover.yaml declares: where no plugin below has that zone, it does not exist, or has no data\nthe server block for . asks, in this order: cache, forward to 127.0.0.1:9, 127.0.0.2:9",
		"example.org.":          "services lie below it, so that it is never said not to exist\nthe server block for . asks, in this order: cache, forward to 127.0.0.1:9, 127.0.0.2:9",
		"b.intern.example.com.": "the server block for intern.example.com. asks, in this order: hosts",
	} {
		if got := strings.Join(s.whoAnswers(name), "\n"); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
