package failover

import (
	"context"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/cache"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/transport"
)

// fromBelow is a plugin below that says what a text says: sections are separated by
// "|", records by ";". The first word may be a rcode.
func fromBelow(t *testing.T, text string) plugin.Handler {
	rcode := dns.RcodeSuccess
	if first, rest, found := strings.Cut(text, " "); found || first != "" {
		if code, ok := dns.StringToRcode[first]; ok {
			rcode, text = code, rest
		}
	}
	return plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetRcode(r, rcode)
		m.AuthenticatedData = true
		sections := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}
		for n, section := range strings.Split(text, "|") {
			for s := range strings.SplitSeq(section, ";") {
				if s = strings.TrimSpace(s); s == "" {
					continue
				}
				rr, err := dns.NewRR(s)
				if err != nil {
					t.Error(err)
					continue
				}
				*sections[n] = append(*sections[n], rr)
			}
		}
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
}

// brief is a reply in a line: the rcode unless it is NOERROR, and each section's
// records without times to live.
func brief(m *dns.Msg) string {
	var sections []string
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var rrs []string
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				data := strings.TrimPrefix(rr.String(), h.String())
				if h.Rrtype == dns.TypeSOA || h.Rrtype == dns.TypeRRSIG {
					data = "" // serials and signatures
				}
				rrs = append(rrs, strings.TrimSpace(h.Name+" "+dns.TypeToString[h.Rrtype]+" "+data))
			}
		}
		sections = append(sections, strings.Join(rrs, "; "))
	}
	out := strings.TrimRight(strings.Join(sections, " | "), "| ")
	if m.Rcode != dns.RcodeSuccess {
		out = dns.RcodeToString[m.Rcode] + " " + out
	}
	return out
}

const (
	watched = twoRegions + `
  one.example.org: {monitors: [web], port: 443, alpn: [h2], srv: [_https._tcp], pools: [{aws/us-east-1: [192.0.2.40]}]}
  seen.example.org:
    monitors: [web]
    mode: observe
    pools: [{aws/us-east-1: [192.0.2.30]}, {gcp/europe-west1: [198.51.100.30]}]
`
	www    = "www.shop.test. 9 IN CNAME old.example.org.;"
	wwwSig = "www.shop.test. 9 IN RRSIG CNAME 13 3 9 20300101000000 20200101000000 1 shop.test. AAAA;"
	oldSig = "old.example.org. 9 IN RRSIG A 13 3 9 20300101000000 20200101000000 1 example.org. AAAA;"
	dead   = "old.example.org. 9 IN A 203.0.113.66;"
	soa    = "|example.org. 9 IN SOA ns. host. 1 2 3 4 9;"
)

// aliases are what the upstream says, and what the client is to be told.
var aliases = []struct{ what, name, qtype, below, want string }{
	{"an address", "www.shop.test.", "A", www + dead, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"in another case", "WWW.shop.test.", "A", "www.SHOP.test. 9 IN CNAME OLD.example.org.;" + dead, "www.SHOP.test. CNAME OLD.example.org.; OLD.example.org. A 192.0.2.20"},
	{"records out of order", "www.shop.test.", "A", dead + www, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"no data", "www.shop.test.", "A", www + soa, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"no such name", "www.shop.test.", "A", "NXDOMAIN " + www + soa, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"the upstream cannot say", "www.shop.test.", "A", "SERVFAIL " + www, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"the other family", "www.shop.test.", "AAAA", www + "old.example.org. 9 IN AAAA 2001:db8::66", "www.shop.test. CNAME old.example.org. | old.example.org. SOA"},
	{"an alias behind", "www.shop.test.", "A", www + "old.example.org. 9 IN CNAME far.example.net.; far.example.net. 9 IN A 203.0.113.66", "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{"two services", "www.shop.test.", "A", www + "old.example.org. 9 IN CNAME shop.example.org.; shop.example.org. 9 IN A 203.0.113.66", "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	{
		"two aliases", "www.shop.test.", "A", "www.shop.test. 9 IN CNAME www.edge.test.; www.edge.test. 9 IN CNAME old.example.org.;" + dead,
		"www.shop.test. CNAME www.edge.test.; www.edge.test. CNAME old.example.org.; old.example.org. A 192.0.2.20",
	},
	{
		"a DNAME", "old.shop.test.", "A", "shop.test. 9 IN DNAME example.org.; old.shop.test. 9 IN CNAME old.example.org.;" + dead,
		"shop.test. DNAME example.org.; old.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20",
	},
	{"signatures", "www.shop.test.", "A", www + wwwSig + dead + oldSig, "www.shop.test. CNAME old.example.org.; www.shop.test. RRSIG; old.example.org. A 192.0.2.20"},
	{
		"an expanded wildcard", "www.shop.test.", "A",
		www + "www.shop.test. 9 IN RRSIG CNAME 13 2 9 20300101000000 20200101000000 1 shop.test. AAAA;" + dead + "|example.org. 9 IN NS ns.; shop.test. 9 IN NSEC zzz.shop.test. A; shop.test. 9 IN RRSIG NSEC 13 2 9 20300101000000 20200101000000 1 shop.test. AAAA",
		"www.shop.test. CNAME old.example.org.; www.shop.test. RRSIG; old.example.org. A 192.0.2.20 | shop.test. NSEC zzz.shop.test. A; shop.test. RRSIG",
	},
	{
		"HTTPS", "www.shop.test.", "HTTPS", "www.shop.test. 9 IN CNAME one.example.org.; one.example.org. 9 IN HTTPS 1 . ipv4hint=203.0.113.66",
		`www.shop.test. CNAME one.example.org.; one.example.org. HTTPS 1 . alpn="h2" ipv4hint="192.0.2.40"`,
	},
	{
		"the owner of an SRV record", "_https._tcp.shop.test.", "SRV", "_https._tcp.shop.test. 9 IN CNAME _https._tcp.one.example.org.; _https._tcp.one.example.org. 9 IN SRV 0 0 1 far.test.||far.test. 9 IN A 203.0.113.66",
		"_https._tcp.shop.test. CNAME _https._tcp.one.example.org.; _https._tcp.one.example.org. SRV 0 0 443 one.example.org. |  | one.example.org. A 192.0.2.40",
	},
	{"the alias itself is asked for", "www.shop.test.", "CNAME", www, "www.shop.test. CNAME old.example.org."},
	{"a service that only observes", "www.shop.test.", "A", "www.shop.test. 9 IN CNAME seen.example.org.; seen.example.org. 9 IN A 203.0.113.66", "www.shop.test. CNAME seen.example.org.; seen.example.org. A 203.0.113.66"},
	{"nothing of ours", "www.shop.test.", "A", "www.shop.test. 9 IN CNAME far.test.; far.test. 9 IN A 203.0.113.66|far.test. 9 IN NS ns.|ns. 9 IN A 203.0.113.67", "www.shop.test. CNAME far.test.; far.test. A 203.0.113.66 | far.test. NS ns. | ns. A 203.0.113.67"},
	{"an ancestor of a service", "www.shop.test.", "A", "NXDOMAIN www.shop.test. 9 IN CNAME example.org.|org. 9 IN SOA ns. host. 1 2 3 4 9; a.org. 9 IN NSEC z.org. A", "www.shop.test. CNAME example.org. | org. SOA"},
	{"a loop", "www.shop.test.", "A", "www.shop.test. 9 IN CNAME far.test.; far.test. 9 IN CNAME www.shop.test.", "www.shop.test. CNAME far.test.; far.test. CNAME www.shop.test."},
	{"records that nothing leads to", "www.shop.test.", "A", "www.shop.test. 9 IN A 203.0.113.1;" + dead + oldSig, "www.shop.test. A 203.0.113.1"},
	{"MX", "shop.test.", "MX", "shop.test. 9 IN MX 10 old.example.org.; shop.test. 9 IN MX 20 far.test.||" + dead + oldSig + "far.test. 9 IN A 203.0.113.1", "shop.test. MX 10 old.example.org.; shop.test. MX 20 far.test. |  | far.test. A 203.0.113.1"},
	{"MX of a service", "old.example.org.", "MX", "old.example.org. 9 IN MX 10 old.example.org.||" + dead, "old.example.org. MX 10 old.example.org."},
	{"SRV", "_x._tcp.shop.test.", "SRV", "_x._tcp.shop.test. 9 IN SRV 0 0 1 old.example.org.||" + dead, "_x._tcp.shop.test. SRV 0 0 1 old.example.org."},
	{
		"hints", "shop.test.", "HTTPS", "shop.test. 9 IN HTTPS 1 old.example.org. alpn=h2 ipv4hint=203.0.113.66; shop.test. 9 IN RRSIG HTTPS 13 2 9 20300101000000 20200101000000 1 shop.test. AAAA||" + dead,
		`shop.test. HTTPS 1 old.example.org. alpn="h2"`,
	},
	{"hints of others", "shop.test.", "HTTPS", "shop.test. 9 IN HTTPS 1 far.test. ipv4hint=203.0.113.1", `shop.test. HTTPS 1 far.test. ipv4hint="203.0.113.1"`},
	{"an alias of SVCB", "shop.test.", "SVCB", "shop.test. 9 IN SVCB 0 old.example.org.||" + dead, "shop.test. SVCB 0 old.example.org."},
}

// TestAliases holds that whoever follows an alias to a service comes to the addresses
// that a direct question is told, with DNSSEC wanted or not, from the cache or not;
// that such an answer counts once, and claims no authentication.
func TestAliases(t *testing.T) {
	for _, c := range aliases {
		t.Run(c.what, func(t *testing.T) {
			f := handler(t, watched, fromBelow(t, c.below))
			for _, do := range []bool{false, true} {
				q := question(c.name, dns.StringToType[c.qtype])
				q.SetEdns0(1232, do)
				q.CheckingDisabled = do
				m, _ := ask(t, f, "10.240.0.1", q)
				if got := brief(m); got != c.want {
					t.Errorf("DO %v: said\n%s\nwant\n%s", do, got, c.want)
				}
				changed := brief(m) != brief(saidBy(t, fromBelow(t, c.below), q))
				if m.AuthenticatedData == changed {
					t.Errorf("DO %v: AD is %v of a reply that was changed: %v", do, m.AuthenticatedData, changed)
				}
				if _, err := m.Pack(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// saidBy is the reply of a plugin.
func saidBy(t *testing.T, h plugin.Handler, q *dns.Msg) *dns.Msg {
	t.Helper()
	rec := dnstest.NewRecorder(&writer{addr: udp("10.240.0.1")})
	if _, err := h.ServeDNS(t.Context(), rec, q); err != nil {
		t.Fatal(err)
	}
	return rec.Msg
}

// TestAliasesAreEditedAboveTheCache holds that what the cache keeps is the upstream's
// reply, so that each client gets what is right at its time, and that each counts.
func TestAliasesAreEditedAboveTheCache(t *testing.T) {
	asked := 0
	says := fromBelow(t, www+dead)
	ch := cache.New()
	ch.Next = plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		asked++
		return says.ServeDNS(ctx, w, r)
	})
	f := handler(t, twoRegions, ch)
	for n := range 3 {
		m, _ := ask(t, f, "10.240.0.1", question("www.shop.test.", dns.TypeA))
		if got := strings.Join(addrsOf(m), " "); got != "192.0.2.20" {
			t.Errorf("answer %d is %s", n, got)
		}
	}
	if asked != 1 {
		t.Errorf("the upstream was asked %d times: the cache was of no use", asked)
	}
	i, _, _ := f.shared.load().Plan.Steer.Lookup([]byte("old.example.org."))
	var counted uint64
	for _, n := range f.shared.answers()(f.shared.load().Plan, i) {
		counted += n
	}
	if counted != 3 {
		t.Errorf("%d answers counted, want 3", counted)
	}
}

// TestAliasesThatDnssecDoesNotCover holds that an answer which would lack signatures
// is left to the next question, for those who want them.
func TestAliasesThatDnssecDoesNotCover(t *testing.T) {
	for _, c := range []struct {
		signed plugin.Zones
		qtype  uint16
		do     bool
		want   string
	}{
		{plugin.Zones{"example.org."}, dns.TypeA, true, "www.shop.test. CNAME old.example.org."},
		{plugin.Zones{"example.org."}, dns.TypeA, false, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
		{plugin.Zones{"example.org.", "shop.test."}, dns.TypeA, true, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
		{plugin.Zones{"example.org.", "shop.test."}, dns.TypeAAAA, true, "www.shop.test. CNAME old.example.org."}, // the proof would be of the wrong name
		{plugin.Zones{"shop.test."}, dns.TypeA, true, "www.shop.test. CNAME old.example.org.; old.example.org. A 192.0.2.20"},
	} {
		f := handler(t, twoRegions, fromBelow(t, www+dead))
		f.signed = c.signed
		q := question("www.shop.test.", c.qtype)
		q.SetEdns0(1232, c.do)
		m, _ := ask(t, f, "10.240.0.1", q)
		if got := brief(m); got != c.want {
			t.Errorf("%v signed, DO %v: said %s, want %s", c.signed, c.do, got, c.want)
		}
	}
}

// TestTheLongerScopeCounts holds that a reply of two parts is said to be right only
// where both are.
func TestTheLongerScopeCounts(t *testing.T) {
	for _, scopes := range [][2]uint8{{0, 0}, {16, 16}, {24, 24}} { // the upstream's, the reply's
		below := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			m := new(dns.Msg).SetReply(r)
			rr, err := dns.NewRR(strings.TrimSuffix(www, ";"))
			if err != nil {
				t.Error(err)
			}
			m.Answer = []dns.RR{rr}
			m.SetEdns0(1232, false)
			e := *transport.SubnetIn(r.IsEdns0())
			e.SourceScope = scopes[0]
			m.IsEdns0().Option = []dns.EDNS0{&e}
			return dns.RcodeSuccess, w.WriteMsg(m)
		})
		f := handler(t, "ecs: {trust: [10.0.0.0/8]}\n"+twoRegions, below)
		q := question("www.shop.test.", dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
		m, _ := ask(t, f, "10.240.0.1", q)
		opt := m.IsEdns0()
		if opt == nil || len(opt.Option) != 1 || transport.SubnetIn(opt).SourceScope != scopes[1] {
			t.Errorf("scope %d below: the reply says %v", scopes[0], opt)
		}
	}
}

// TestAServiceIsNotLedRoundItself holds that a plugin below which calls a service an alias
// of itself is asked once, even if its reply lacks the question.
func TestAServiceIsNotLedRoundItself(t *testing.T) {
	for _, echoes := range []bool{true, false} {
		asked := 0
		f := handler(t, watched, plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			m := new(dns.Msg).SetReply(r)
			if asked++; asked > 100 {
				return dns.RcodeSuccess, w.WriteMsg(m)
			}
			if !echoes {
				m.Question = nil
			}
			rr, err := dns.NewRR("old.example.org. 9 IN CNAME old.example.org.")
			if err != nil {
				t.Error(err)
			}
			m.Answer = []dns.RR{rr}
			return dns.RcodeSuccess, w.WriteMsg(m)
		}))
		m, _ := ask(t, f, "10.240.0.1", question("old.example.org.", dns.TypeTXT))
		if assertNoData(t, m, "old.example.org.", 5); asked != 1 {
			t.Errorf("question echoed %v: asked %d times", echoes, asked)
		}
	}
}
