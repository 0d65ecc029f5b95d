package failover

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/dnssec"
	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/forward"
	"github.com/coredns/coredns/plugin/template"
	"github.com/miekg/dns"
)

// inChain starts a block with a failover.yaml, and returns where it answers.
func inChain(t *testing.T, order []string, services, below string) (addr string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "failover.yaml")
	text := "monitors: {web: {type: tcp, port: 1, interval: 1h}}\nprobes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\n" +
		"state: {dir: " + dir + "/state}\n" + services
	for name, text := range map[string]string{"failover.yaml": text, "db.apps": zoneText, "hosts": hostsText} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inst, err := start(t, order, fmt.Sprintf(".:0 {\n root %s\n bind 127.0.0.1\n failover %s\n%s\n}\n", dir, path, below))
	if err != nil {
		t.Fatal(err)
	}
	return inst.Servers()[0].LocalAddr().String()
}

const (
	zoneText = `$ORIGIN apps.test.
@ 60 IN SOA ns hostmaster 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.53
mail 60 IN A 192.0.2.25
deep.down 60 IN A 192.0.2.26
www 60 IN CNAME mail
*.odd 60 IN A 192.0.2.27
`
	hostsText = "192.0.2.30 printer.apps.test\n192.0.2.31 *.any.test\n192.0.2.32 one.any.test\n"
)

// TestExistingNamesWin holds that names which zones of a block have are no wildcard
// service's (RFC 4592), nor what stands below them; and that all other names are.
func TestExistingNamesWin(t *testing.T) {
	const wildcards = `services:
  "*.apps.test": {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}
  "*.any.test": {monitors: [web], pools: [{aws/us-east-1: [127.0.1.2]}]}
  own.apps.test: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.3]}]}
`
	addr := inChain(t, []string{"root", "bind", "failover", "hosts", "file"}, wildcards, " hosts hosts {\n fallthrough\n }\n file db.apps apps.test")
	for name, want := range map[string]string{
		"one.apps.test.":            "127.0.1.1",
		"a.b.apps.test.":            "127.0.1.1",
		"own.apps.test.":            "127.0.1.3",
		"mail.apps.test.":           "192.0.2.25",
		"MAIL.apps.test.":           "192.0.2.25",
		"x.mail.apps.test.":         "", // its closest encloser is mail
		"www.apps.test.":            "mail.apps.test. 192.0.2.25",
		"down.apps.test.":           "", // an empty non-terminal
		"deep.down.apps.test.":      "192.0.2.26",
		"x.down.apps.test.":         "",
		"x.odd.apps.test.":          "192.0.2.27", // the zone's own wildcard is closer
		"printer.apps.test.":        "192.0.2.30",
		`printer\.x.apps.test.`:     "127.0.1.1",
		"two.any.test.":             "127.0.1.2", // a wildcard of the table is none of its names
		"zzz\\255\\046x.apps.test.": "127.0.1.1",
	} {
		m, err := dns.Exchange(question(name, dns.TypeA), addr)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rr := range m.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				got = append(got, rr.A.String())
			case *dns.CNAME:
				got = append(got, rr.Target)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
}

// TestNothingElseInTheBlock holds that a declared zone is answered for where no plugin
// of the block does, also below `cache` and where one falls through.
func TestNothingElseInTheBlock(t *testing.T) {
	const zone = "zones: {gslb.test: {ns: [ns1.gslb.test]}}\nservices: {a.b.gslb.test: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}}\n"
	for _, below := range []string{"", " cache 30", " hosts hosts {\n fallthrough\n }", " cache 30\n file db.apps apps.test"} {
		addr := inChain(t, []string{"root", "bind", "failover", "cache", "hosts", "file"}, zone, below)
		for q, want := range map[string]string{"gslb.test. TXT": "gslb.test. SOA", "b.gslb.test. A": "gslb.test. SOA", "x.gslb.test. A": "NXDOMAIN  | gslb.test. SOA", "a.b.gslb.test. TXT": "gslb.test. SOA"} {
			name, qtype, _ := strings.Cut(q, " ")
			for range 2 { // by the cache, then
				m, err := dns.Exchange(question(name, dns.StringToType[qtype]), addr)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.TrimPrefix(brief(m), " | "); got != want || !m.Authoritative {
					t.Errorf("with %q: %s is %q, AA %v", below, q, got, m.Authoritative)
				}
			}
		}
	}
}

// TestZonesOf holds that the plugins of this CoreDNS say their zones where we look for
// them.
func TestZonesOf(t *testing.T) {
	for _, h := range []plugin.Handler{
		dnssec.New([]string{"a.test."}, nil, false, nil, nil),
		file.File{Zones: file.Zones{Names: []string{"a.test."}}},
		template.Handler{Zones: []string{"a.test."}},
	} {
		if zones, ok := zonesOf(h); !ok || len(zones) != 1 || zones[0] != "a.test." {
			t.Errorf("%s: %v, %v", h.Name(), zones, ok)
		}
	}
	f := forward.New()
	if zones, ok := zonesOf(f); !ok || len(zones) != 1 {
		t.Errorf("forward: %v, %v", zones, ok)
	}
	if zones, ok := zonesOf(plugin.HandlerFunc(nil)); ok {
		t.Errorf("a function has zones: %v", zones)
	}
}

// BenchmarkExisting measures what a wildcard's hit costs that looks whether the name
// exists in a zone of 10,000 names: at most a microsecond.
func BenchmarkExisting(b *testing.B) {
	z := file.NewZone("apps.test.", "")
	for i := range 10_000 {
		rr, err := dns.NewRR(fmt.Sprintf("n%05d.apps.test. 60 IN A 192.0.2.1", i*7919%10_000))
		if err != nil {
			b.Fatal(err)
		}
		z.Tree.Insert(rr)
	}
	zone := func(string) *file.Zone { return z }
	names := []string{"apps.test."}
	for b.Loop() {
		if inZones(names, zone, "not-there.apps.test.") {
			b.Fatal("found")
		}
	}
}
