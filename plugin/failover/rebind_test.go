package failover

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// TestRebind holds that addresses of private networks are taken out of answers for
// public names, in whatever form, also behind an alias, with the signatures of their
// sets; and that nothing else is touched: names that are allowed or that nobody
// registers, public addresses, our own services.
func TestRebind(t *testing.T) {
	const rebinding = "rebind: {allow: [corp.example.com]}\n" + twoRegions
	for _, c := range []struct {
		name    string
		qtype   uint16
		says    string // records, with semicolons
		want    string // owners and types of the answer
		blocked bool
	}{
		{"evil.example.com.", dns.TypeA, "evil.example.com. 1 IN A 10.0.0.1", "", true},
		{"EVIL.example.com.", dns.TypeA, "EVIL.example.com. 1 IN A 127.0.0.1", "", true},
		{"evil.example.com.", dns.TypeA, "evil.example.com. 1 IN A 192.0.2.1;evil.example.com. 1 IN A 169.254.169.254", "A", true},
		{"evil.example.com.", dns.TypeAAAA, "evil.example.com. 1 IN AAAA ::ffff:10.0.0.1", "", true},
		{"evil.example.com.", dns.TypeAAAA, "evil.example.com. 1 IN AAAA 64:ff9b::7f00:1", "", true},
		{"evil.example.com.", dns.TypeAAAA, "evil.example.com. 1 IN AAAA 2002:a00:1::1", "", true},
		{"evil.example.com.", dns.TypeAAAA, "evil.example.com. 1 IN AAAA fd00::1", "", true},
		{"evil.example.com.", dns.TypeA, "evil.example.com. 1 IN A 198.18.0.1;evil.example.com. 1 IN A 0.1.2.3;evil.example.com. 1 IN A 192.0.0.8;evil.example.com. 1 IN A 255.255.255.255;evil.example.com. 1 IN A 224.0.0.251", "", true},
		{"evil.example.com.", dns.TypeAAAA, "evil.example.com. 1 IN AAAA fec0::1;evil.example.com. 1 IN AAAA ff02::fb", "", true},
		{"evil.example.com.", dns.TypeHTTPS, `evil.example.com. 1 IN HTTPS 1 . ipv4hint="10.0.0.1"`, "", true},
		{"evil.example.com.", dns.TypeA, "evil.example.com. 1 IN CNAME db.corp.example.com.;db.corp.example.com. 1 IN A 10.0.0.1", "CNAME", true},
		{"evil.example.com.", dns.TypeA, "evil.example.com. 1 IN A 10.0.0.1;evil.example.com. 1 IN RRSIG A 13 3 1 20300101000000 20200101000000 1 example.com. AAAA", "", true},
		{"www.example.com.", dns.TypeA, "www.example.com. 1 IN A 192.0.2.1;www.example.com. 1 IN RRSIG A 13 3 1 20300101000000 20200101000000 1 example.com. AAAA", "A RRSIG", false},
		{"db.corp.example.com.", dns.TypeA, "db.corp.example.com. 1 IN A 10.0.0.1", "A", false},
		{"nas.home.arpa.", dns.TypeA, "nas.home.arpa. 1 IN A 10.0.0.1", "A", false},
		{"api.default.svc.cluster.local.", dns.TypeA, "api.default.svc.cluster.local. 1 IN A 10.96.0.1", "A", false},
	} {
		f := handler(t, rebinding, say(dns.RcodeSuccess, strings.Split(c.says, ";")...))
		q := question(c.name, c.qtype)
		q.SetEdns0(1232, true)
		m, _ := ask(t, f, "10.240.0.1", q)
		var types []string
		for _, rr := range m.Answer {
			types = append(types, dns.TypeToString[rr.Header().Rrtype])
		}
		blocked := errorCode(m) == dns.ExtendedErrorCodeBlocked && !m.AuthenticatedData
		if got := strings.Join(types, " "); got != c.want || blocked != c.blocked || (f.shared.rebinds.Load() == 1) != c.blocked || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: %s: answered %q, blocked: %v, counted: %d", c.name, c.says, got, blocked, f.shared.rebinds.Load())
		}
	}
}

// TestRebindIsOff holds that without a word in the file nothing is taken out.
func TestRebindIsOff(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeSuccess, "evil.example.com. 1 IN A 10.0.0.1"))
	if m, _ := ask(t, f, "10.240.0.1", question("evil.example.com.", dns.TypeA)); len(m.Answer) != 1 {
		t.Errorf("taken out: %v", m)
	}
}

// TestReasonsAddUp holds that a reply which is changed twice says both reasons, keeps
// what its OPT record said from below, and has one such record; and that a reply which
// others hold, as a cache does, is not changed.
func TestReasonsAddUp(t *testing.T) {
	held := new(dns.Msg)
	f := handler(t, "rebind: block\n"+twoRegions, plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		held.SetReply(r)
		for _, text := range []string{"evil.example.com. 1 IN A 10.0.0.1", "evil.example.com. 1 IN A 192.0.2.1"} {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			held.Answer = append(held.Answer, rr)
		}
		held.SetEdns0(1232, true)
		held.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e73"}}
		return dns.RcodeSuccess, w.WriteMsg(held)
	}))
	f.guarded = true
	guard.Standing.Add("evil.example.com.")
	defer guard.Standing.Remove("evil.example.com.")
	q := question("evil.example.com.", dns.TypeA)
	q.SetEdns0(1232, true)
	m, _ := ask(t, f, "10.240.0.1", q)
	var said []string
	for _, o := range m.IsEdns0().Option {
		said = append(said, o.String())
	}
	want := []string{"6e73", "15 (Blocked): (rebind: a private address of a public name)", "3 (Stale Answer): (" + guard.StaleText + ")"}
	if !slices.Equal(said, want) || len(m.Extra) != 1 || len(m.Answer) != 1 {
		t.Errorf("said %q, want %q:\n%v", said, want, m)
	}
	if len(held.Answer) != 2 || len(held.IsEdns0().Option) != 1 {
		t.Errorf("what others hold was changed:\n%v", held)
	}
}
