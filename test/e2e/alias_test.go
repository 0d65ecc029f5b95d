package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// aliased runs a resolver whose one service lies in a signed zone, with aliases of it in
// that zone and in another one, which nobody signs.
func aliased(t *testing.T) (*process, *dns.DNSKEY) {
	t.Helper()
	name, public, private, k := key(t, "example.org.")
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	soa := "@ 300 IN SOA ns1 root 1 3600 600 86400 5\n@ 300 IN NS ns1\nns1 300 IN A 127.0.0.1\n"
	return start(t, map[string]string{
		"failover.yaml":   shop("DIR", web, ""),
		name + ".key":     public,
		name + ".private": private,
		"example.org":     "$ORIGIN example.org.\n" + soa + "www 300 IN CNAME shop\nfar 300 IN CNAME www\nshop 300 IN A 192.0.2.99\nshop 300 IN AAAA 2001:db8::99\n",
		"other.test":      "$ORIGIN other.test.\n" + soa + "www 300 IN CNAME shop.example.org.\nfar 300 IN CNAME www.example.org.\n",
		"Corefile": ".:PORT {\n bind 127.0.0.1\n errors\n dnssec example.org {\n  key file DIR/" + name + "\n }\n failover failover.yaml\n cache 30\n" +
			" file DIR/example.org example.org\n file DIR/other.test other.test\n}\n",
	}), k
}

// validator runs unbound in front of a resolver, which trusts a key, and returns how it is
// asked: it asks with DO, as validators do.
func validator(t *testing.T, p *process, k *dns.DNSKEY) func(name string, typ uint16) *dns.Msg {
	t.Helper()
	need(t, "unbound")
	port := kit.FreePort(t)
	p.write("unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1@%s
  directory: "%s"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: "example.org. DNSKEY %d %d %d %s"
  local-zone: "test." nodefault
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@%s
`, port, p.dir, k.Flags, k.Protocol, k.Algorithm, k.PublicKey, p.port))
	cmd := exec.Command("unbound", "-c", filepath.Join(p.dir, "unbound.conf"))
	var out kit.Output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("unbound:\n%s", out.String())
		}
	})
	c := &dns.Client{Timeout: 5 * time.Second}
	ask := func(name string, typ uint16) *dns.Msg {
		q := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ).SetEdns0(1232, true)
		m, _, err := c.Exchange(q, "127.0.0.1:"+port)
		if err != nil {
			return nil
		}
		return m
	}
	p.within(10*time.Second, "unbound answers", func() bool { return ask("shop.example.org", dns.TypeA) != nil })
	return ask
}

// TestASignedServiceOverAnAlias holds that validators accept every answer of a signed
// service that an alias leads to, and that it is the service's: none has the addresses that
// the file below says.
func TestASignedServiceOverAnAlias(t *testing.T) {
	p, k := aliased(t)
	unbound := validator(t, p, k)
	for _, name := range []string{"shop.example.org", "www.example.org", "far.example.org", "www.other.test", "far.other.test"} {
		for typ, want := range map[uint16]string{dns.TypeA: "127.0.1.1", dns.TypeAAAA: "", dns.TypeHTTPS: "alpn", dns.TypeTXT: ""} {
			for range 2 { // from the caches, too
				m := unbound(name, typ)
				if m == nil || m.Rcode != dns.RcodeSuccess || m.AuthenticatedData != strings.HasSuffix(name, ".org") {
					t.Errorf("unbound, %s %s: %v", name, dns.TypeToString[typ], m)
					continue
				}
				text := fmt.Sprint(m.Answer)
				if !strings.Contains(text, want) || strings.Contains(text, "192.0.2.99") || strings.Contains(text, "2001:db8::99") {
					t.Errorf("unbound, %s %s: %v, want %q", name, dns.TypeToString[typ], m.Answer, want)
				}
			}
		}
	}
}

// TestDelvOverAnAlias is the same with BIND's validator.
func TestDelvOverAnAlias(t *testing.T) {
	need(t, "delv")
	p, k := aliased(t)
	p.write("anchors", fmt.Sprintf("trust-anchors {\n example.org. static-key %d %d %d \"%s\";\n};\n", k.Flags, k.Protocol, k.Algorithm, k.PublicKey))
	for _, name := range []string{"www.example.org", "far.example.org"} {
		for typ, want := range map[string]string{"A": "127.0.1.1", "AAAA": "ncache nxrrset", "HTTPS": "alpn", "TXT": "ncache nxrrset"} {
			out, err := exec.Command("delv", "@127.0.0.1", "-p", p.port, "-a", filepath.Join(p.dir, "anchors"), "+root=example.org", name, typ).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "fully validated") || !strings.Contains(string(out), want) || strings.Contains(string(out), "192.0.2.99") {
				t.Errorf("delv %s %s: %v, want %q, fully validated\n%s", name, typ, err, want, out)
			}
		}
	}
}
