package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// key makes a zone's signing key: the two files that `dnssec` reads, and the
// public half.
func key(t *testing.T, zone string) (name, public, private string, record *dns.DNSKEY) {
	t.Helper()
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	secret, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("K%s+013+%05d", zone, k.KeyTag())
	return name, k.String() + "\n", k.PrivateKeyString(secret), k
}

// signed runs a resolver whose one service lies in a zone that `dnssec`, above
// `failover`, signs with the key that is returned.
func signed(t *testing.T) (*process, *dns.DNSKEY) {
	t.Helper()
	name, public, private, k := key(t, "example.org.")
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	return start(t, map[string]string{
		"failover.yaml":   shop("DIR", web, "zones: {example.org: {ns: [ns1.example.org], minimum: 5s}}\n"),
		name + ".key":     public,
		name + ".private": private,
		"Corefile":        ".:PORT {\n bind 127.0.0.1\n errors\n dnssec example.org {\n  key file DIR/" + name + "\n }\n failover failover.yaml\n cache 30\n}\n",
	}), k
}

// TestSignedService: a validator that knows the zone's key accepts both an answer
// and a denial.
func TestSignedService(t *testing.T) {
	need(t, "delv")
	p, k := signed(t)
	p.write("anchors", fmt.Sprintf("trust-anchors {\n example.org. static-key %d %d %d \"%s\";\n};\n", k.Flags, k.Protocol, k.Algorithm, k.PublicKey))
	for _, q := range []struct{ name, typ, want string }{
		{"shop.example.org", "A", "127.0.1.1"},
		{"shop.example.org", "HTTPS", "127.0.1.1"},
		{"shop.example.org", "AAAA", "ncache nxrrset"},
		{"example.org", "NS", "ns1.example.org"},
	} {
		out, err := exec.Command("delv", "@127.0.0.1", "-p", p.port, "-a", filepath.Join(p.dir, "anchors"),
			"+root=example.org", q.name, q.typ).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "fully validated") || !strings.Contains(string(out), q.want) {
			t.Errorf("delv %s %s: %v, want %q, fully validated\n%s", q.name, q.typ, err, q.want, out)
		}
	}
	// A lie must be found out, or the test proves nothing.
	p.write("anchors", strings.Replace(fmt.Sprintf("trust-anchors {\n example.org. static-key %d %d %d \"%s\";\n};\n", k.Flags, k.Protocol, k.Algorithm, k.PublicKey), k.PublicKey[:6], "AAAAAA", 1))
	out, _ := exec.Command("delv", "@127.0.0.1", "-p", p.port, "-a", filepath.Join(p.dir, "anchors"), "+root=example.org", "shop.example.org", "A").CombinedOutput()
	if strings.Contains(string(out), "fully validated") {
		t.Errorf("delv accepts the wrong key:\n%s", out)
	}
}

// TestUnsignedClientsSeeNoSignatures: who does not ask for signatures gets none.
func TestUnsignedClientsSeeNoSignatures(t *testing.T) {
	p, _ := signed(t)
	m := p.ask("shop.example.org.", dns.TypeA)
	if len(m.Answer) != 1 || m.AuthenticatedData {
		t.Errorf("without DO: %v, want one address and no AD", m)
	}
}
