package e2e

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// twinZones runs a resolver with one zone twice: declared in failover.yaml on the port of
// the process, and in a file for plugin `file` on the other.
func twinZones(t *testing.T) (p *process, file string) {
	t.Helper()
	web, file := kit.FreePort(t), kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	p = start(t, map[string]string{
		"failover.yaml": fmt.Sprintf(`version: 1
monitors: {web: {type: http, port: %s, path: /, interval: 500ms, timeout: 500ms, confirm: 100ms}}
zones: {gslb.test: {ns: [ns1.gslb.test, ns2.other.test], minimum: 7s}}
services:
  ns1.gslb.test: {monitors: [web], public: true, pools: [{aws/us-east-1: [127.0.1.1]}]}
  app.eu.gslb.test: {monitors: [web], public: true, pools: [{aws/us-east-1: [127.0.1.1]}]}
probes: {allow_targets: [127.0.0.0/8]}
state: {dir: DIR/state}
admin: {listen: "unix://DIR/admin.sock"}
`, web),
		"zone":     "gslb.test. 30 IN SOA a. b. 1 2 3 4 5\ngslb.test. 30 IN NS a.\n",
		"Corefile": ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\ngslb.test:" + file + " {\n bind 127.0.0.1\n reload 2s\n file DIR/zone {\n  reload 1s\n }\n}\n",
	})
	var text strings.Builder
	for _, q := range []uint16{dns.TypeSOA, dns.TypeNS} {
		for _, rr := range p.ask("gslb.test.", q).Answer {
			fmt.Fprintln(&text, rr)
		}
	}
	for _, name := range []string{"ns1.gslb.test.", "app.eu.gslb.test."} {
		p.within(15*time.Second, name+" is answered", func() bool {
			m := p.ask(name, dns.TypeA)
			return m != nil && len(m.Answer) == 1
		})
		fmt.Fprintln(&text, p.ask(name, dns.TypeA).Answer[0])
	}
	p.write("zone", text.String())
	p.within(15*time.Second, "the zone is read", func() bool {
		m, err := dns.Exchange(new(dns.Msg).SetQuestion("ns1.gslb.test.", dns.TypeA), "127.0.0.1:"+file)
		return err == nil && len(m.Answer) == 1
	})
	return p, file
}

// compliance is what the DNS compliance tester of ISC (genreport) sends to the servers of a
// zone, as changes of a question for its SOA.
var compliance = map[string]func(*dns.Msg){
	"dns":        func(*dns.Msg) {},
	"aa":         func(m *dns.Msg) { m.Authoritative = true },
	"ad":         func(m *dns.Msg) { m.AuthenticatedData = true },
	"cd":         func(m *dns.Msg) { m.CheckingDisabled = true },
	"ra":         func(m *dns.Msg) { m.RecursionAvailable = true },
	"rd":         func(m *dns.Msg) { m.RecursionDesired = true },
	"zflag":      func(m *dns.Msg) { m.Zero = true },
	"tc":         func(m *dns.Msg) { m.Truncated = true },
	"opcode":     func(m *dns.Msg) { m.Opcode = 15 },
	"opcodeflg":  func(m *dns.Msg) { m.Opcode, m.RecursionDesired, m.CheckingDisabled = 15, true, true },
	"edns":       options(0, 0),
	"edns1":      options(1<<16, 0),
	"edns@512":   func(m *dns.Msg) { m.SetEdns0(512, true) },
	"ednsopt":    options(0, 100),
	"edns1opt":   options(1<<16, 100),
	"do":         options(0x8000, 0),
	"edns1do":    options(1<<16|0x8000, 0),
	"ednsflags":  options(0x0080, 0),
	"edns1flags": options(1<<16|0x0080, 0),
	"ednsnsid":   options(0, dns.EDNS0NSID),
	"ednscookie": options(0, dns.EDNS0COOKIE),
	"ednsexpire": options(0, dns.EDNS0EXPIRE),
	"ednspad":    options(0, dns.EDNS0PADDING),
	"do+cookie":  options(0x8000, dns.EDNS0COOKIE),
}

// options adds an OPT record with a version and flags, and an option of eight octets, or
// none.
func options(ttl uint32, code uint16) func(*dns.Msg) {
	return func(m *dns.Msg) {
		o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 4096, Ttl: ttl}}
		switch code {
		case 0:
		case dns.EDNS0NSID, dns.EDNS0EXPIRE:
			o.Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: code}}
		default:
			o.Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: code, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}}}
		}
		m.Extra = append(m.Extra, o)
	}
}

// TestADeclaredZoneIsAZone holds that a zone of failover.yaml answers what the same zone
// answers in plugin `file`: every type, at its apex, at a name that only has names below it, and at one
// that is not there; and each question of the compliance tester, over UDP and TCP.
func TestADeclaredZoneIsAZone(t *testing.T) {
	p, file := twinZones(t)
	types := []uint16{666, 1000, 32768, 32769, 65280, 65534}
	for typ := range dns.TypeToString {
		if typ < 249 || typ == 256 || typ == 257 { // none that only ask for transfers or for everything
			types = append(types, typ)
		}
	}
	for _, name := range []string{"gslb.test.", "eu.gslb.test.", "nx.gslb.test.", "nx.eu.gslb.test.", "GSLB.TesT."} {
		for _, typ := range types {
			if typ == dns.TypeOPT || typ == dns.TypeTSIG || typ == dns.TypeNone {
				continue
			}
			m := new(dns.Msg).SetQuestion(name, typ)
			m.Id = 7
			if ours, theirs := said(t, "udp", p.port, m), said(t, "udp", file, m); ours != theirs {
				t.Errorf("%s %s:\n%s\nplugin file:\n%s", name, dns.Type(typ), ours, theirs)
			}
		}
	}
	for what, change := range compliance {
		for _, network := range []string{"udp", "tcp"} {
			m := new(dns.Msg).SetQuestion("gslb.test.", dns.TypeSOA)
			m.RecursionDesired, m.Id = false, 7
			change(m)
			if ours, theirs := said(t, network, p.port, m), said(t, network, file, m); ours != theirs {
				t.Errorf("%s over %s:\n%s\nplugin file:\n%s", what, network, ours, theirs)
			}
		}
	}
}

// said is a reply in words, its sections in order. The zone's servers, which a positive answer
// need not name, and the case of owners, of which the question says enough, are left out, and how long a service is true.
func said(t *testing.T, network, port string, q *dns.Msg) string {
	t.Helper()
	b, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial(network, "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // read already
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	conn := &dns.Conn{Conn: c, UDPSize: 4096}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	m, err := conn.ReadMsg()
	if err != nil {
		return err.Error()
	}
	if len(m.Answer) > 0 {
		m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS })
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			rr.Header().Name = strings.ToLower(rr.Header().Name)
			if rr.Header().Rrtype == dns.TypeA {
				rr.Header().Ttl = 0 // a service's, which changes
			}
		}
		slices.SortFunc(section, func(a, b dns.RR) int { return strings.Compare(a.String(), b.String()) })
	}
	return m.String()
}
