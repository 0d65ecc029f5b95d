package failover

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// head is the part of a failover.yaml that most tests share. The addresses are
// those of documentation: nothing of them is ever Up or Down within a test.
const head = `
monitors:
  web: {type: tcp, port: 443}
recursion: [private, 10.240.0.0/16]
admin: {listen: "off"}
`

// handler starts an engine for a failover.yaml and returns the plugin above next.
func handler(t testing.TB, yaml string, next plugin.Handler) *Failover {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "failover.yaml")
	text := head + yaml + "\nstate: {dir: " + filepath.Join(dir, "state") + "}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatalf("the test's configuration:\n%v", err)
	}
	e, err := engine.Start(engine.Options{
		Config: cfg, Lookup: lookupBelow(next), Log: slog.New(slog.DiscardHandler), Dial: silence,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &shared{path: path, door: newDoor(limits())}
	s.begin(e)
	t.Cleanup(s.end)
	f := &Failover{Next: next, shared: s, recursive: true}
	if next != nil {
		f.others = []plugin.Zones{{"."}}
	}
	return f
}

// silence is a network in which nothing answers.
func silence(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// writer is a client at an address.
type writer struct {
	test.ResponseWriter
	addr net.Addr
}

func (w *writer) RemoteAddr() net.Addr { return w.addr }

func udp(ip string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 40000))
}

// ask sends a question and returns the reply, nil if nothing was written.
func ask(t *testing.T, f *Failover, from string, r *dns.Msg) (*dns.Msg, int) {
	t.Helper()
	rec := dnstest.NewRecorder(&writer{addr: udp(from)})
	rcode, err := f.ServeDNS(context.Background(), rec, r)
	if err != nil && rec.Msg != nil {
		t.Errorf("wrote a reply and returned the error %v", err)
	}
	return rec.Msg, rcode
}

func question(name string, t uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, t) }

// addrsOf returns the addresses in a reply, sorted.
func addrsOf(m *dns.Msg) []string {
	var out []string
	for _, rr := range m.Answer {
		if ip, ok := addressOf(rr); ok {
			out = append(out, ip.String())
		}
	}
	slices.Sort(out)
	return out
}

// say is a plugin below that answers every question with fixed records and rcode.
func say(rcode int, records ...string) plugin.Handler {
	return plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetRcode(r, rcode)
		for _, s := range records {
			rr, err := dns.NewRR(s)
			if err != nil {
				return dns.RcodeServerFailure, err
			}
			if rr.Header().Rrtype == dns.TypeSOA {
				m.Ns = append(m.Ns, rr)
			} else {
				m.Answer = append(m.Answer, rr)
			}
		}
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
}

const twoRegions = `
services:
  shop.example.org:
    monitors: [web]
    port: 443
    alpn: [h2, h3]
    srv: [_https._tcp]
    pools:
      - aws/us-east-1: [192.0.2.10, 192.0.2.11, "2001:db8::10"]
      - gcp/europe-west1: [198.51.100.7]
  old.example.org:
    monitors: [web]
    pools:
      - aws/us-east-1: [192.0.2.20]
      - gcp/europe-west1: [198.51.100.20]
`

func TestAddresses(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	for _, c := range []struct {
		name string
		t    uint16
		want string
	}{
		{"shop.example.org.", dns.TypeA, "192.0.2.10 192.0.2.11"},
		{"ShOp.eXample.ORG.", dns.TypeA, "192.0.2.10 192.0.2.11"},
		{"shop.example.org.", dns.TypeAAAA, "2001:db8::10"},
		{"old.example.org.", dns.TypeA, "192.0.2.20"},
	} {
		r := question(c.name, c.t)
		m, rcode := ask(t, f, "10.240.0.1", r)
		if rcode != dns.RcodeSuccess || m == nil {
			t.Fatalf("%s: rcode %d, reply %v", c.name, rcode, m)
		}
		if got := strings.Join(addrsOf(m), " "); got != c.want {
			t.Errorf("%s %s = %s, want %s", c.name, dns.Type(c.t), got, c.want)
		}
		if m.Question[0] != r.Question[0] || m.Id != r.Id {
			t.Errorf("%s: the question was not echoed: %v", c.name, m.Question)
		}
		if !m.Authoritative || !m.RecursionAvailable || m.AuthenticatedData {
			t.Errorf("%s: flags aa %v, ra %v, ad %v", c.name, m.Authoritative, m.RecursionAvailable, m.AuthenticatedData)
		}
		for _, rr := range m.Answer {
			if ttl := rr.Header().Ttl; ttl < 24 || ttl > 30 || ttl != m.Answer[0].Header().Ttl {
				t.Errorf("%s: TTL %d; want one for the set, in 24..30", c.name, ttl)
			}
		}
		if _, err := m.Pack(); err != nil {
			t.Errorf("%s: the reply does not pack: %v", c.name, err)
		}
	}
}

func TestNoDataCarriesSOA(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	for _, typ := range []uint16{dns.TypeAAAA, dns.TypeCNAME, dns.TypeHTTPS, dns.TypeSVCB} {
		m, _ := ask(t, f, "10.240.0.1", question("old.example.org.", typ))
		assertNoData(t, m, "old.example.org.", 5)
	}
}

// assertNoData wants NOERROR, no answer, and one SOA with this owner and minimum.
func assertNoData(t *testing.T, m *dns.Msg, owner string, minimum uint32) {
	t.Helper()
	if m == nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) > 0 || len(m.Ns) != 1 {
		t.Fatalf("want NODATA with one SOA, got\n%v", m)
	}
	soa, ok := m.Ns[0].(*dns.SOA)
	if !ok || soa.Hdr.Name != owner || soa.Minttl != minimum || soa.Hdr.Ttl != minimum {
		t.Errorf("authority = %v, want a SOA of %s with minimum %d", m.Ns[0], owner, minimum)
	}
}

func TestOtherTypesComeFromBelow(t *testing.T) {
	mx := "shop.example.org. 300 IN MX 10 mail.example.org."
	f := handler(t, twoRegions, say(dns.RcodeSuccess, mx))
	m, _ := ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeMX))
	if len(m.Answer) != 1 || m.Answer[0].Header().Rrtype != dns.TypeMX {
		t.Errorf("MX = %v", m)
	}
}

func TestBelowCannotTakeTheNameAway(t *testing.T) {
	for name, next := range map[string]plugin.Handler{
		"nxdomain": say(dns.RcodeNameError, "example.org. 900 IN SOA ns. host. 1 2 3 4 900"),
		"cname":    say(dns.RcodeSuccess, "shop.example.org. 300 IN CNAME other.example.net."),
		"chain to nxdomain": say(dns.RcodeNameError, "shop.example.org. 300 IN CNAME gone.example.net.",
			"example.net. 900 IN SOA ns. host. 1 2 3 4 900"),
	} {
		t.Run(name, func(t *testing.T) {
			f := handler(t, twoRegions, next)
			m, _ := ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeMX))
			assertNoData(t, m, "shop.example.org.", 5)
		})
	}
}

func TestAncestorsExist(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError, "org. 900 IN SOA ns. host. 1 2 3 4 900"))
	m, _ := ask(t, f, "10.240.0.1", question("example.org.", dns.TypeA))
	if m.Rcode != dns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("example.org. = %v, want NODATA: shop.example.org. exists below it", m)
	}
	m, _ = ask(t, f, "10.240.0.1", question("sub.shop.example.org.", dns.TypeA))
	if m.Rcode != dns.RcodeNameError {
		t.Errorf("a name below a service = %v, want what the plugin below says", m)
	}
}

func TestHTTPSRecord(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	m, _ := ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeHTTPS))
	if len(m.Answer) != 1 {
		t.Fatalf("HTTPS = %v", m)
	}
	got := m.Answer[0].(*dns.HTTPS).String()
	for _, want := range []string{`alpn="h2,h3"`, "192.0.2.10", "192.0.2.11", `ipv6hint="2001:db8::10"`, "\t1 . "} {
		if !strings.Contains(got, want) {
			t.Errorf("HTTPS = %s, want %s in it", got, want)
		}
	}
	if strings.Contains(got, "198.51.100") || strings.Contains(got, "ech") {
		t.Errorf("HTTPS = %s: hints of another pool, or a made-up key", got)
	}
}

func TestSRV(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	m, _ := ask(t, f, "10.240.0.1", question("_https._tcp.shop.example.org.", dns.TypeSRV))
	if len(m.Answer) != 1 || len(m.Extra) != 3 {
		t.Fatalf("SRV = %v", m)
	}
	if srv := m.Answer[0].(*dns.SRV); srv.Port != 443 || srv.Target != "shop.example.org." || srv.Priority != 0 || srv.Weight != 0 {
		t.Errorf("SRV = %v", srv)
	}
	m, _ = ask(t, f, "10.240.0.1", question("_https._tcp.shop.example.org.", dns.TypeTXT))
	assertNoData(t, m, "shop.example.org.", 5)
}

func TestANYIsMinimal(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	m, _ := ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeANY))
	if len(m.Answer) != 1 || m.Answer[0].Header().Rrtype != dns.TypeHINFO {
		t.Errorf("ANY = %v", m)
	}
}

func TestRecursionOnlyForConfiguredClients(t *testing.T) {
	f := handler(t, twoRegions+`
  open.example.org:
    public: true
    monitors: [web]
    pools: [{aws/us-east-1: [192.0.2.30]}]
`, say(dns.RcodeSuccess, "x.test. 60 IN A 192.0.2.99"))
	for _, c := range []struct {
		from, name string
		rcode      int
	}{
		{"10.1.2.3", "x.test.", dns.RcodeSuccess},
		{"127.0.0.1", "shop.example.org.", dns.RcodeSuccess},
		{"203.0.113.5", "x.test.", dns.RcodeRefused},
		{"203.0.113.5", "shop.example.org.", dns.RcodeRefused},
		{"203.0.113.5", "open.example.org.", dns.RcodeSuccess},
		{"::ffff:10.1.2.3", "x.test.", dns.RcodeSuccess},
		{"2001:db8:ffff::1", "x.test.", dns.RcodeRefused},
	} {
		m, _ := ask(t, f, c.from, question(c.name, dns.TypeA))
		if m == nil || m.Rcode != c.rcode {
			t.Errorf("%s from %s = %v, want %s", c.name, c.from, m, dns.RcodeToString[c.rcode])
		}
	}
}

func TestClientSubnetOnlyFromTrusted(t *testing.T) {
	f := handler(t, `
regions:
  aws/us-east-1: {clients: [100.64.0.0/16]}
  gcp/europe-west1: {clients: [100.65.0.0/16]}
ecs: {trust: [10.0.0.53/32]}
services:
  near.example.org:
    policy: nearest
    monitors: [web]
    pools:
      - aws/us-east-1: [192.0.2.10]
      - gcp/europe-west1: [198.51.100.7]
`, say(dns.RcodeNameError))
	subnet := func(from string, bits uint8) *dns.Msg {
		r := question("near.example.org.", dns.TypeA)
		r.SetEdns0(1232, false)
		r.IsEdns0().Option = append(r.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: bits, Address: net.IPv4(100, 65, 1, 0).To4().Mask(net.CIDRMask(int(bits), 32)),
		})
		m, _ := ask(t, f, from, r)
		return m
	}
	m := subnet("10.0.0.53", 24)
	if got := addrsOf(m); len(got) != 1 || got[0] != "198.51.100.7" {
		t.Errorf("trusted subnet = %v, want the pool near it", got)
	}
	opt := m.IsEdns0()
	if opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_SUBNET).SourceScope != 24 {
		t.Errorf("scope was not returned: %v", opt)
	}
	m = subnet("10.0.0.53", 0)
	if opt := m.IsEdns0(); opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_SUBNET).SourceScope != 0 || addrsOf(m)[0] != "192.0.2.10" {
		t.Errorf("a subnet of 0 bits: %v, want the answer as without it, and scope 0", m)
	}
	m = subnet("10.0.0.54", 24)
	if got := addrsOf(m); len(got) != 1 || got[0] != "192.0.2.10" {
		t.Errorf("untrusted subnet = %v, want it ignored", got)
	}
	if opt := m.IsEdns0(); opt != nil {
		t.Errorf("an untrusted option was echoed: %v", opt)
	}
}

func TestLastResortIsMarked(t *testing.T) {
	yaml := twoRegions + `
overrides:
  - {target: aws/us-east-1, do: down, reason: test, owner: test}
  - {target: gcp/europe-west1, do: down, reason: test, owner: test}
`
	f := handler(t, yaml, say(dns.RcodeNameError))
	r := question("old.example.org.", dns.TypeA)
	r.SetEdns0(1232, false)
	m, _ := ask(t, f, "10.240.0.1", r)
	if got := addrsOf(m); len(got) != 1 || got[0] != "192.0.2.20" {
		t.Errorf("last resort = %v, want the first pool", got)
	}
	opt := m.IsEdns0()
	if opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_EDE).InfoCode != 29 {
		t.Errorf("EDNS = %v, want EDE 29", opt)
	}
	m, _ = ask(t, f, "10.240.0.1", question("old.example.org.", dns.TypeA))
	if m.IsEdns0() != nil {
		t.Error("a client without EDNS got an OPT record")
	}
	if ttl := m.Answer[0].Header().Ttl; ttl > 5 {
		t.Errorf("TTL = %d in panic, want at most 5", ttl)
	}
}

func TestFailoverByOverride(t *testing.T) {
	f := handler(t, twoRegions+`
overrides: [{target: aws/us-east-1, do: drain, reason: test, owner: test}]
`, say(dns.RcodeNameError))
	m, _ := ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeA))
	if got := addrsOf(m); len(got) != 1 || got[0] != "198.51.100.7" {
		t.Errorf("drained region: %v, want the other one's", got)
	}
	m, _ = ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeAAAA))
	assertNoData(t, m, "shop.example.org.", 5) // same pool for both families
}
