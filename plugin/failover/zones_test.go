package failover

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestZonesAndWildcards(t *testing.T) {
	f := handler(t, `
zones: {example.org: {ns: [ns1.example.org, ns2.example.org], mbox: hostmaster.example.org, minimum: 7s}}
services:
  "*.example.org":
    monitors: [web]
    except: [internal.example.org]
    pools: [{aws/us-east-1: [192.0.2.10]}]
  a.b.example.org:
    monitors: [web]
    pools: [{aws/us-east-1: [192.0.2.11]}]
`, say(dns.RcodeNameError))
	m, _ := ask(t, f, "10.240.0.1", question("example.org.", dns.TypeSOA))
	if len(m.Answer) != 1 || m.Answer[0].(*dns.SOA).Ns != "ns1.example.org." {
		t.Errorf("SOA = %v", m)
	}
	m, _ = ask(t, f, "10.240.0.1", question("example.org.", dns.TypeNS))
	if len(m.Answer) != 2 {
		t.Errorf("NS = %v", m)
	}
	m, _ = ask(t, f, "10.240.0.1", question("a.b.example.org.", dns.TypeAAAA))
	assertNoData(t, m, "example.org.", 7)
	for name, want := range map[string]string{
		"x.example.org.":          "192.0.2.10",
		"x.y.example.org.":        "192.0.2.10",
		"a.b.example.org.":        "192.0.2.11",
		"b.example.org.":          "", // an empty non-terminal: RFC 4592 section 2.2.2
		"z.b.example.org.":        "", // closest encloser is b.example.org.
		"_sip.example.org.":       "",
		"x._tcp.example.org.":     "",
		"internal.example.org.":   "",
		"a.internal.example.org.": "",
		"xexample.org.":           "",
	} {
		m, _ := ask(t, f, "10.240.0.1", question(name, dns.TypeA))
		if got := strings.Join(addrsOf(m), " "); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}
