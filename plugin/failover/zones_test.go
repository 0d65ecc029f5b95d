package failover

import (
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
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

const declared = `
zones: {gslb.test: {ns: [ns1.gslb.test, ns2.other.test], minimum: 7s}}
services:
  app.eu.gslb.test: {monitors: [web], public: true, srv: [_https._tcp], port: 443, pools: [{aws/us-east-1: [192.0.2.10]}]}
  ns1.gslb.test: {monitors: [web], public: true, pools: [{aws/us-east-1: [192.0.2.53, "2001:db8::53"]}]}
  inner.gslb.test: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.11]}]}
  "*.wild.gslb.test": {monitors: [web], pools: [{aws/us-east-1: [192.0.2.12]}]}
  elsewhere.test: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.13]}]}
`

// TestADeclaredZone holds what a zone says in which nothing else answers: to those who
// may ask everything, and to the public.
func TestADeclaredZone(t *testing.T) {
	f := handler(t, declared, nil)
	for _, c := range []struct{ name, qtype, inside, outside string }{
		{"gslb.test.", "TXT", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"GSLB.test.", "A", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"gslb.test.", "DNSKEY", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"gslb.test.", "TYPE65534", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"gslb.test.", "NS", "gslb.test. NS ns1.gslb.test.; gslb.test. NS ns2.other.test. |  | ns1.gslb.test. A 192.0.2.53; ns1.gslb.test. AAAA 2001:db8::53", "gslb.test. NS ns1.gslb.test.; gslb.test. NS ns2.other.test. |  | ns1.gslb.test. A 192.0.2.53; ns1.gslb.test. AAAA 2001:db8::53"},
		{"eu.gslb.test.", "A", " | gslb.test. SOA", " | gslb.test. SOA"}, // an empty non-terminal
		{"_tcp.app.eu.gslb.test.", "SRV", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"no.gslb.test.", "A", "NXDOMAIN  | gslb.test. SOA", "NXDOMAIN  | gslb.test. SOA"},
		{"no.app.eu.gslb.test.", "A", "NXDOMAIN  | gslb.test. SOA", "NXDOMAIN  | gslb.test. SOA"},
		{"app.eu.gslb.test.", "TXT", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"inner.gslb.test.", "TXT", " | gslb.test. SOA", "REFUSED "},
		{"inner.gslb.test.", "A", "inner.gslb.test. A 192.0.2.11", "REFUSED "},
		{"a.wild.gslb.test.", "TXT", " | gslb.test. SOA", "REFUSED "},
		{"wild.gslb.test.", "A", " | gslb.test. SOA", " | gslb.test. SOA"},
		{"elsewhere.test.", "TXT", " | elsewhere.test. SOA", "REFUSED "},
	} {
		for from, want := range map[string]string{"10.240.0.1": c.inside, "203.0.113.9": c.outside} {
			qtype, ok := dns.StringToType[c.qtype]
			if !ok {
				qtype = 65534
			}
			m, _ := ask(t, f, from, question(c.name, qtype))
			if m == nil {
				t.Errorf("%s %s from %s: no reply", c.name, c.qtype, from)
				continue
			}
			if got := brief(m); got != strings.TrimRight(want, " ") && got != want {
				t.Errorf("%s %s from %s: said %q, want %q", c.name, c.qtype, from, got, want)
			}
			if refused := m.Rcode == dns.RcodeRefused; m.Authoritative == refused {
				t.Errorf("%s %s from %s: AA %v", c.name, c.qtype, from, m.Authoritative)
			}
		}
	}
}

// TestADeclaredZoneWithOthers holds that a plugin which answers for the zone is asked,
// and says what it says, errors too; that one of another zone changes nothing; and
// that what nobody below answers is answered at the end of the chain.
func TestADeclaredZoneWithOthers(t *testing.T) {
	f := handler(t, declared, say(dns.RcodeServerFailure))
	f.others = []plugin.Zones{{"."}}
	if m, _ := ask(t, f, "10.240.0.1", question("no.gslb.test.", dns.TypeA)); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("a SERVFAIL of below became\n%v", m)
	}
	if m, _ := ask(t, f, "203.0.113.9", question("no.gslb.test.", dns.TypeA)); m.Rcode != dns.RcodeRefused {
		t.Errorf("the public is told what plugins below know:\n%v", m)
	}
	f.others = []plugin.Zones{{"other.test."}}
	if m, _ := ask(t, f, "203.0.113.9", question("no.gslb.test.", dns.TypeA)); m.Rcode != dns.RcodeNameError {
		t.Errorf("the public is told\n%v", m)
	}
	f = handler(t, declared, nil)
	f.Next = caller{last{f}} // as one that falls through
	if m, _ := ask(t, f, "10.240.0.1", question("no.gslb.test.", dns.TypeA)); m.Rcode != dns.RcodeNameError {
		t.Errorf("at the end of the chain: %v", m)
	}
	if m, rcode := ask(t, f, "10.240.0.1", question("www.unrelated.test.", dns.TypeA)); m != nil || rcode != dns.RcodeServerFailure {
		t.Errorf("of a name that is nobody's: %d, %v", rcode, m)
	}
}

// TestLabels holds that names are compared label by label: a dot or a backslash inside
// of a label is none between two, and the longest name there is can be asked for.
func TestLabels(t *testing.T) {
	f := handler(t, `
services:
  "*.wild.example.org": {monitors: [web], except: [not.wild.example.org], pools: [{aws/us-east-1: [192.0.2.10]}]}
`, say(dns.RcodeNameError))
	long := strings.Repeat(`\255`, 63) + "." + strings.Repeat(`\000`, 63) + "." + strings.Repeat(`\001`, 63) + ".x.wild.example.org."
	for name, want := range map[string]string{
		`evil\.wild.example.org.`:                     "",
		`a.evil\.wild.example.org.`:                   "",
		`evil\\.wild.example.org.`:                    "192.0.2.10", // the label ends in a backslash
		`a\.b.wild.example.org.`:                      "192.0.2.10",
		`\097.wild.example.org.`:                      "192.0.2.10",
		`x\.not.wild.example.org.`:                    "192.0.2.10",
		`x.not.wild.example.org.`:                     "",
		`X.NOT.wild.example.org.`:                     "",
		`\046wild.wild.example.org.`:                  "192.0.2.10",
		strings.ToUpper(long):                         "192.0.2.10",
		"x" + long[4:]:                                "192.0.2.10",
		strings.Replace(long, "x.wild", `x\.wild`, 1): "",
	} {
		m, _ := ask(t, f, "10.240.0.1", question(name, dns.TypeA))
		if got := strings.Join(addrsOf(m), " "); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}
