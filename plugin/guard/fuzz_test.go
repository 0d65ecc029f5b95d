package guard

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// How FuzzReply stages a reply, in bits.
const (
	overV6   = 1 << iota // the question is AAAA
	asWire               // the plugin below writes wire format
	wasKnown             // two addresses are kept
	failing              // and the name fails already
	withDO               // the client wants signatures
	overTCP              // it asks over TCP
	stranger             // the name is not guarded
)

// FuzzReply feeds replies of backends to the handler. Whatever they are, nothing
// breaks, the client has one reply at most, what we made has the right shape, and
// nothing is kept but the addresses that the question's own chain in a complete
// answer ends at.
func FuzzReply(f *testing.F) {
	for _, m := range hostileReplies(f) {
		if b, err := m.Pack(); err == nil {
			for _, mode := range []byte{0, asWire, wasKnown, wasKnown | asWire | withDO, wasKnown | overTCP, wasKnown | failing, overV6 | wasKnown | asWire, stranger, stranger | asWire} {
				f.Add(b, mode)
			}
			f.Add(b[:len(b)/2], byte(asWire|wasKnown))
			f.Add(b[:min(len(b), 11)], byte(asWire|wasKnown))
		}
	}
	f.Add([]byte{}, byte(asWire))
	f.Fuzz(tryReply)
}

// hostileReplies are replies to a question for api's IPv4 addresses.
func hostileReplies(t testing.TB) (out []*dns.Msg) {
	t.Helper()
	r := new(dns.Msg)
	r.SetQuestion(api, dns.TypeA)
	say := func(edit func(*dns.Msg), records ...string) {
		m := has(records...)(r)
		if edit != nil {
			edit(m)
		}
		out = append(out, m)
	}
	option := func(o ...dns.EDNS0) func(*dns.Msg) {
		return func(m *dns.Msg) { m.SetEdns0(1232, true); m.IsEdns0().Option = o }
	}
	good := api + " 5 IN A 192.0.2.7"
	say(nil, good, api+" 7 IN A 192.0.2.8", good)
	say(nil, api+" 5 IN CNAME a.example.", "a.example. 5 IN CNAME b.example.", "b.example. 3 IN A 192.0.2.7", "evil.example. 5 IN A 203.0.113.66")
	say(nil, "b.example. 3 IN A 192.0.2.7", api+" 5 IN CNAME b.example.")
	say(nil, "evil.example. 5 IN A 203.0.113.66")
	say(nil, api+" 5 IN CNAME b.example.", good)
	say(nil, api+" 5 IN CNAME b.example.", "b.example. 5 IN CNAME "+api)
	say(nil, api+" 5 IN CNAME "+api)
	say(nil, api+" 5 CH A 192.0.2.7", api+" 5 IN AAAA 2001:db8::7", api+" 5 IN AAAA ::ffff:192.0.2.7")
	say(nil, good, api+" 5 IN RRSIG A 8 3 5 20300101000000 20200101000000 1 example. AAAA", "evil.example. 5 IN A 203.0.113.66")
	say(func(m *dns.Msg) { m.Ns, m.Extra = m.Answer, m.Answer; m.Answer = nil }, good)
	say(func(m *dns.Msg) { m.Question[0].Name = "evil.example." }, good)
	say(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, api+" 5 IN AAAA 2001:db8::7")
	say(func(m *dns.Msg) { m.Question = nil }, good)
	say(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, good)
	say(func(m *dns.Msg) { m.Truncated = true }, good)
	say(func(m *dns.Msg) { m.Response = false }, good)
	say(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, good)
	say(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
	say(func(m *dns.Msg) { m.Ns = nxdomain(r).Ns; m.Rcode = dns.RcodeNameError })
	say(func(m *dns.Msg) { m.Ns = nodata(r).Ns })
	for code := range uint16(31) {
		say(option(&dns.EDNS0_EDE{InfoCode: code, ExtraText: "x"}), good)
	}
	say(option(&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, SourceScope: 24, Address: []byte{192, 0, 2, 0}}), good)
	say(option(&dns.EDNS0_LOCAL{Code: 65001, Data: bytes.Repeat([]byte{255}, 300)}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}), good)
	var loop []string
	for i := range 2000 {
		loop = append(loop, fmt.Sprintf("c%d.example. 5 IN CNAME c%d.example.", i, i+1))
	}
	say(func(m *dns.Msg) { m.Compress = true }, append(loop, api+" 5 IN CNAME c0.example.", "c2000.example. 5 IN A 203.0.113.66")...)
	return out
}

// fuzzGuard is a guard of api that nothing runs in the background for.
func fuzzGuard(t testing.TB) *Guard {
	t.Helper()
	g, err := parse(caddy.NewTestController("dns", plainConf))
	if err != nil {
		t.Fatal(err)
	}
	g.table = newTable("", office, nil)
	g.table.live.Store(g)
	return g
}

func tryReply(t *testing.T, wire []byte, mode byte) {
	g := fuzzGuard(t)
	qtype, kept := dns.TypeA, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if mode&overV6 != 0 {
		qtype, kept = dns.TypeAAAA, []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	}
	e, now := g.table.entry(api), guard.At(time.Now())
	if mode&wasKnown != 0 {
		for i := range 4 {
			e.known.Learn(qtype == dns.TypeAAAA, &guard.Answer{Addrs: kept, TTL: 5}, now.Add(time.Duration(i-4)*30*time.Second))
		}
		if mode&failing != 0 {
			e.known.Fail(qtype == dns.TypeAAAA, guard.NoData, now)
		}
	} else {
		kept = nil
	}
	reply := new(dns.Msg)
	err := reply.Unpack(wire)
	if err != nil && mode&asWire == 0 {
		return
	}
	g.Next = plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		if mode&asWire != 0 {
			_, err := w.Write(wire)
			return 0, err
		}
		return 0, w.WriteMsg(reply)
	})
	r := new(dns.Msg)
	r.SetQuestion("aPi.Cloud.example.", qtype)
	if mode&stranger != 0 {
		r.Question[0].Name = "www.cloud.example."
	}
	if mode&withDO != 0 {
		r.SetEdns0(1232, true)
	}
	c := &recorder{ResponseWriter: test.ResponseWriter{TCP: mode&overTCP != 0}}
	_, _ = g.ServeDNS(context.Background(), c, r)
	if len(c.msgs)+len(c.raw) > 1 {
		t.Fatalf("%d replies", len(c.msgs)+len(c.raw))
	}
	if mode&stranger != 0 {
		if len(c.msgs) == 1 && c.msgs[0] != reply || len(c.raw) == 1 && !bytes.Equal(c.raw[0], wire) || len(c.msgs)+len(c.raw) == 0 {
			t.Fatal("what is not guarded was changed")
		}
	}
	checkKept(t, e, reply, qtype, kept)
	for _, m := range c.msgs {
		if opt := m.IsEdns0(); opt != nil && len(opt.Option) == 1 {
			if x, ok := opt.Option[0].(*dns.EDNS0_EDE); ok && x.ExtraText == guard.StaleText && m != reply {
				if err := shape(r, m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// checkKept compares what is kept of api with what it was and what the reply says.
func checkKept(t *testing.T, e *entry, reply *dns.Msg, qtype uint16, kept []netip.Addr) {
	t.Helper()
	v6 := qtype == dns.TypeAAAA
	ips, way := truths(reply, api, qtype)
	k := e.known.Of(v6)
	for _, m := range k.Members {
		before := false
		for _, ip := range kept {
			before = before || ip == m.IP
		}
		if !before && !ips[m.IP] {
			t.Fatalf("%s is kept of %v", m.IP, reply)
		}
	}
	for _, target := range k.Chain {
		if !way[target] {
			t.Fatalf("%s is on the way of %v", target, reply)
		}
	}
	if len(k.Members) > guard.MaxMembers || len(k.Chain) > guard.MaxChain {
		t.Fatalf("%d members, %d CNAMEs", len(k.Members), len(k.Chain))
	}
	// The other family may be asked for as well; this reply never is one to that.
	if len(e.known.Of(!v6).Members) > 0 {
		t.Fatalf("the other family: %v", e.known.Of(!v6).Members)
	}
	if k.Signed == nil {
		return
	}
	s := new(dns.Msg)
	if err := s.Unpack(k.Signed.Wire); err != nil {
		t.Fatal(err)
	}
	for _, rr := range s.Answer {
		if !way[dns.CanonicalName(rr.Header().Name)] {
			t.Fatalf("kept with signatures: %v", rr)
		}
	}
}

// TestTenThousandCNAMEs holds that more than a message can carry, from a plugin that
// makes its own, costs nothing but a look.
func TestTenThousandCNAMEs(t *testing.T) {
	m := hostileReplies(t)[0]
	m.Answer = nil
	for i := range 10_000 {
		m.Answer = append(m.Answer, &dns.CNAME{
			Hdr:    dns.RR_Header{Name: fmt.Sprintf("c%d.example.", i), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 5},
			Target: fmt.Sprintf("c%d.example.", i+1),
		})
	}
	m.Answer[9999].Header().Name = api
	m.Answer[9999].(*dns.CNAME).Target = "c0.example."
	g := fuzzGuard(t)
	if f := g.take(g.table.entry(api), &question{qtype: dns.TypeA}, m); f != guard.NoData || g.table.entry(api).known.Known() {
		t.Errorf("%v, %v", f, g.table.entry(api).known)
	}
}
