package failover

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/steer"
)

// TestTransfersAreNeverTouched: a zone's transfer holds CNAMEs, and that its apex
// is a service's name changes nothing of it.
func TestTransfersAreNeverTouched(t *testing.T) {
	f := handler(t, `
zones: {example.org: {ns: [ns1.example.org]}}
services:
  example.org: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.10]}]}
`, plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		if _, ours := w.(*corrector); ours {
			t.Errorf("%s: the writer is wrapped", dns.Type(r.Question[0].Qtype))
		}
		m := new(dns.Msg).SetReply(r)
		m.Answer = []dns.RR{&dns.CNAME{Hdr: dns.RR_Header{Name: "www.example.org.", Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: "example.org."}}
		return dns.RcodeSuccess, w.WriteMsg(m)
	}))
	for _, typ := range []uint16{dns.TypeAXFR, dns.TypeIXFR} {
		if m, _ := ask(t, f, "10.240.0.1", question("example.org.", typ)); m == nil || len(m.Answer) != 1 {
			t.Errorf("%s = %v, want what the plugin below wrote", dns.Type(typ), m)
		}
	}
}

const spread = `
regions:
  aws/us-east-1: {clients: [100.64.0.0/16]}
  gcp/europe-west1: {clients: [100.65.0.0/16]}
ecs: {trust: [10.0.0.53/32]}
services:
  near.example.org:
    policy: nearest
    monitors: [web]
    port: 443
    srv: [_https._tcp]
    pools:
      - aws/us-east-1: [192.0.2.10]
      - gcp/europe-west1: [198.51.100.7]
  heavy.example.org:
    policy: weighted
    monitors: [web]
    port: 443
    alpn: [h2]
    srv: [_https._tcp]
    pools:
      - aws/us-east-1: [192.0.2.10, 192.0.2.11, "2001:db8:1::10", "2001:db8:1::11"]
      - gcp/europe-west1: [198.51.100.7, 198.51.100.8, "2001:db8:2::10", "2001:db8:2::11"]
`

// TestRelatedRecordsSayWhatAddressesSay: one address by weight, one pool for both
// families, for the place that the client stands for.
func TestRelatedRecordsSayWhatAddressesSay(t *testing.T) {
	f := handler(t, spread, say(dns.RcodeNameError))
	for range 50 {
		m, _ := ask(t, f, "10.240.0.1", question("heavy.example.org.", dns.TypeHTTPS))
		line := m.Answer[0].String()
		if first, second := strings.Contains(line, "192.0.2.1"), strings.Contains(line, "2001:db8:1::1"); first != second || strings.Count(line, "192.0.2.")+strings.Count(line, "198.51.100.") != 1 {
			t.Fatalf("hints are not what A and AAAA say: %s", line)
		}
		m, _ = ask(t, f, "10.240.0.1", question("_https._tcp.heavy.example.org.", dns.TypeSRV))
		if len(m.Extra) != 2 || strings.HasPrefix(addrsOf(&dns.Msg{Answer: m.Extra})[0], "192.") != strings.HasPrefix(addrsOf(&dns.Msg{Answer: m.Extra})[1], "2001:db8:1:") {
			t.Fatalf("additional addresses are not what A and AAAA say: %v", m.Extra)
		}
	}
	r := question("_https._tcp.near.example.org.", dns.TypeSRV)
	r.SetEdns0(1232, false)
	r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(100, 65, 1, 0).To4()}}
	m, _ := ask(t, f, "10.0.0.53", r)
	if got := addrsOf(&dns.Msg{Answer: m.Extra}); len(got) != 1 || got[0] != "198.51.100.7" {
		t.Errorf("SRV for a client subnet: additional %v, want the pool near it", got)
	}
	if opt := m.IsEdns0(); opt == nil || len(opt.Option) != 1 {
		t.Errorf("SRV for a client subnet: EDNS %v, want the scope", opt)
	}
}

// TestNamesAboveSRVOwnersExist: resolvers that ask label by label stop at NXDOMAIN.
func TestNamesAboveSRVOwnersExist(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError, "org. 900 IN SOA ns. host. 1 2 3 4 900"))
	if m, _ := ask(t, f, "10.240.0.1", question("_tcp.shop.example.org.", dns.TypeA)); m.Rcode != dns.RcodeSuccess {
		t.Errorf("_tcp.shop.example.org. = %s, but _https._tcp.shop.example.org. exists", dns.RcodeToString[m.Rcode])
	}
}

// TestRecursionIsCheckedFirst: no class or opcode goes round the list of clients,
// a public service opens nothing but itself.
func TestRecursionIsCheckedFirst(t *testing.T) {
	f := handler(t, twoRegions+`
  "*.open.example.org":
    public: true
    monitors: [web]
    pools: [{aws/us-east-1: [192.0.2.30]}]
  api.example.org:
    public: true
    monitors: [web]
    port: 443
    srv: [_https._tcp]
    pools: [{aws/us-east-1: [192.0.2.31]}]
`, plugin.HandlerFunc(func(_ context.Context, _ dns.ResponseWriter, r *dns.Msg) (int, error) {
		t.Errorf("a client outside `recursion` reached the plugins below with %s", r)
		return dns.RcodeSuccess, nil
	}))
	hesiod := question("x.test.", dns.TypeTXT)
	hesiod.Question[0].Qclass = dns.ClassHESIOD
	update := question("x.test.", dns.TypeSOA)
	update.Opcode = dns.OpcodeUpdate
	for _, r := range []*dns.Msg{hesiod, update, question("a.open.example.org.", dns.TypeMX), question("api.example.org.", dns.TypeTXT)} {
		m, _ := ask(t, f, "203.0.113.5", r)
		if m == nil || m.Rcode != dns.RcodeRefused || m.Opcode != r.Opcode {
			t.Errorf("%v\nwas answered\n%v", r, m)
		}
	}
	m, _ := ask(t, f, "203.0.113.5", question("_https._tcp.api.example.org.", dns.TypeSRV))
	if m == nil || len(m.Answer) != 1 {
		t.Errorf("SRV of a public service = %v", m)
	}
}

// TestCNAMEAnswersEveryType: also one whose other addresses are of another family.
func TestCNAMEAnswersEveryType(t *testing.T) {
	below := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		if r.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR("lb.example.net. 60 IN A 192.0.2.9")
			m.Answer = []dns.RR{rr}
		}
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
	f := handler(t, `
services:
  www.example.org: {monitors: [web], flatten: false, pools: [{aws/us-east-1: [lb.example.net]}]}
`, below)
	for len(f.shared.load().Plan.Checks) == 0 {
		f.shared.engine().Wait(t.Context())
	}
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeHTTPS, dns.TypeANY, dns.TypeCNAME} {
		m, _ := ask(t, f, "10.240.0.1", question("www.example.org.", typ))
		if len(m.Answer) == 0 || m.Answer[0].Header().Rrtype != dns.TypeCNAME {
			t.Errorf("%s = %v, want the CNAME first", dns.Type(typ), m.Answer)
		}
	}
}

// TestWatchFollowsTheFile: a file that was refused and then taken back is well
// again, and one that another reload went back from is applied again.
func TestWatchFollowsTheFile(t *testing.T) {
	f := handler(t, twoRegions, nil)
	s := f.shared
	good, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nonsense: [")
	seen := s.look("")
	if s.engine().LastReload().OK {
		t.Fatal("nonsense was taken")
	}
	write(string(good))
	if seen = s.look(seen); !s.engine().LastReload().OK {
		t.Errorf("the file is the one in use again, and still: %s", s.engine().LastReload().Error)
	}
	old, err := config.Parse(s.path, good)
	if err != nil {
		t.Fatal(err)
	}
	write(string(good) + "# edited\n")
	seen = s.look(seen)
	edited := s.load().Plan.Config.Hash
	if err := s.engine().Apply(old); err != nil {
		t.Fatal(err)
	}
	s.look(seen)
	if got := s.load().Plan.Config.Hash; got != edited {
		t.Errorf("in use is %s, in the file %s", got, edited)
	}
}

// TestNamesSurvivePanicsBelow: names are looked up on goroutines of ours, where
// nobody else catches what a plugin below does.
func TestNamesSurvivePanicsBelow(t *testing.T) {
	look := lookupBelow(plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { panic("below") }))
	if _, _, err := look(t.Context(), "lb.example.net."); err == nil || !strings.Contains(err.Error(), "below") {
		t.Errorf("error %v, want the panic", err)
	}
}

// TestNothingBelowIsNoFailure: authorities for CAA and mail take SERVFAIL for a
// reason to stop.
func TestNothingBelowIsNoFailure(t *testing.T) {
	f := handler(t, twoRegions, nil)
	m, _ := ask(t, f, "10.240.0.1", question("old.example.org.", dns.TypeCAA))
	assertNoData(t, m, "old.example.org.", 5)
}

// TestPrefixesAreClients: a forwarder that says for whom it asks is not a crowd.
func TestPrefixesAreClients(t *testing.T) {
	f := handler(t, "forwarders: [10.0.0.53/32]\n"+spread, nil)
	for i := range byte(crowdEnough + 10) {
		r := question("near.example.org.", dns.TypeA)
		r.SetEdns0(1232, false)
		r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(100, 65, i, 0).To4()}}
		if q := f.query(&writer{addr: udp("10.0.0.53")}, r, f.shared.load()); q.spread {
			t.Fatal("the shares of a known prefix are drawn per answer")
		}
	}
	if f.shared.crowd.few(time.Now()) {
		t.Error("sixty prefixes count as few clients")
	}
}

// TestFrozenAtWhatIsDownIsMarked: it is not said that nothing is healthy.
func TestFrozenAtWhatIsDownIsMarked(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeNameError))
	e, end := f.shared.engine(), time.Now().Add(time.Hour)
	if err := e.PutFreeze(steer.Freeze{Until: end, Owner: "jo", Reason: "test"}, "test"); err != nil {
		t.Fatal(err)
	}
	down := steer.Override{Target: "old.example.org./192.0.2.20", Kind: steer.ForceDown, Until: end, Owner: "jo", Reason: "test"}
	if err := e.PutOverride(down, "test"); err != nil {
		t.Fatal(err)
	}
	r := question("old.example.org.", dns.TypeA)
	r.SetEdns0(1232, false)
	m, _ := ask(t, f, "10.240.0.1", r)
	if got := addrsOf(m); len(got) != 1 || got[0] != "192.0.2.20" || m.Answer[0].Header().Ttl > 5 {
		t.Errorf("frozen: %v, want the pool in use for 5 s at most", m.Answer)
	}
	opt := m.IsEdns0()
	if opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_EDE).ExtraText != frozenText {
		t.Errorf("EDNS = %v, want that it is frozen", opt)
	}
	if got := scraped(t, f)[`service_panic{service="old.example.org"}`]; got != 1 {
		t.Errorf("service_panic is %v", got)
	}
}
