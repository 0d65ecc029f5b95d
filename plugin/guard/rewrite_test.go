package guard

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// rewriter makes random states of a name, questions and replies, and looks at what
// the handler makes of them.
type rewriter struct {
	*testing.T
	r     *rand.Rand
	g     *Guard
	e     *entry
	now   guard.Stamp
	reply *dns.Msg // of the plugin below
	made  map[string]int
}

// Records that are parsed once.
var (
	soa       = test.SOA("example. 900 IN SOA ns. host. 1 7200 1800 86400 900")
	soaSigned = test.RRSIG("example. 900 IN RRSIG SOA 8 1 900 20300101000000 20200101000000 1 example. AAAA")
	junk      = test.A("evil.example. 5 IN A 203.0.113.66")
	junkText  = test.TXT(api + " 5 IN TXT x")
)

// rewrites is how many TestRewrites looks at.
func rewrites() int {
	if testing.Short() || underRace {
		return 50_000
	}
	return 1_000_000
}

// TestRewrites holds the shape of what the handler makes of random states, questions
// and replies, and that it changes nothing for names that are not guarded.
func TestRewrites(t *testing.T) {
	w := &rewriter{T: t, r: rand.New(rand.NewPCG(1, 2)), g: fuzzGuard(t), now: guard.At(time.Now()), made: map[string]int{}}
	w.e = w.g.table.entry(api)
	w.g.Next = plugin.HandlerFunc(func(_ context.Context, rw dns.ResponseWriter, _ *dns.Msg) (int, error) {
		return 0, rw.WriteMsg(w.reply)
	})
	defer w.g.table.stand(w.e, false) // the board is the process's
	for i := range rewrites() {
		if i%16 == 0 {
			w.state()
		}
		w.one()
		if t.Failed() {
			t.Fatalf("rewrite %d", i)
		}
	}
	for _, kind := range []string{"kept", "kept, signed", "passed on", "shortened", "denied", "not guarded", "not there"} {
		if w.made[kind] < rewrites()/500 {
			t.Errorf("only %d of %d were %s", w.made[kind], rewrites(), kind)
		}
	}
	t.Logf("%v", w.made)
}

// state makes what is kept of the name anew.
func (w *rewriter) state() {
	w.e.known = guard.Name{}
	w.g.table.stand(w.e, false)
	for _, v6 := range []bool{false, true} {
		if w.r.IntN(8) == 0 {
			continue
		}
		a := &guard.Answer{Chain: w.chain(), TTL: uint32(w.r.IntN(100))}
		for i := range 1 + w.r.IntN(20) {
			a.Addrs = append(a.Addrs, w.ip(v6, i))
		}
		for i := range 4 {
			w.e.known.Learn(v6, a, w.now.Add(time.Duration(i-5)*40*time.Second))
		}
		if w.r.IntN(2) == 0 {
			a.Addrs = a.Addrs[:min(len(a.Addrs), guard.MaxAnswer)]
			w.e.known.Of(v6).Signed = signed(&dns.Msg{Answer: w.signed(v6, a)}, api, qtypeOf(v6), a)
		}
		if w.r.IntN(2) == 0 {
			w.e.known.Fail(v6, guard.NXDomain+guard.Failure(w.r.IntN(5)), w.now)
		}
	}
}

func (w *rewriter) ip(v6 bool, n int) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(w.r.IntN(4)), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
}

func (w *rewriter) chain() (targets []string) {
	for i := range w.r.IntN(guard.MaxChain + 1) {
		targets = append(targets, fmt.Sprintf("t%d.cdn.example.", i))
	}
	return targets
}

// signed returns the records of an answer, shuffled, with signatures and with some
// that are not of it.
func (w *rewriter) signed(v6 bool, a *guard.Answer) (rrs []dns.RR) {
	sign := func(owner string, covered uint16) {
		h := dns.RR_Header{Name: owner, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 7}
		rrs = append(rrs, &dns.RRSIG{
			Hdr: h, TypeCovered: covered, Labels: uint8(dns.CountLabel(owner)), OrigTtl: uint32(5 + w.r.IntN(60)),
			Inception: uint32(w.now/1000 - 1000), Expiration: uint32(w.now/1000 + 1000000), SignerName: "example.", Signature: "AAAA",
		})
	}
	owner := api
	for _, target := range a.Chain {
		rrs = append(rrs, &dns.CNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 9}, Target: target})
		sign(owner, dns.TypeCNAME)
		owner = target
	}
	q := question{qname: owner, qtype: qtypeOf(v6)}
	rrs = append(rrs, q.standIn(&guard.Set{Addrs: a.Addrs}, 11).Answer...)
	sign(owner, qtypeOf(v6))
	rrs = append(rrs, junk, junkText)
	w.r.Shuffle(len(rrs), func(i, j int) { rrs[i], rrs[j] = rrs[j], rrs[i] })
	return rrs
}

// question is a random question of a client.
func (w *rewriter) question() *dns.Msg {
	r := new(dns.Msg)
	name := []byte(api)
	if w.r.IntN(16) == 0 {
		name = []byte("www.example.")
	}
	for i := range name {
		if w.r.IntN(2) == 0 {
			name[i] = strings.ToUpper(string(name[i]))[0]
		}
	}
	r.SetQuestion(string(name), [...]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT}[w.r.IntN(5)])
	r.Id = uint16(w.r.Uint32())
	r.AuthenticatedData = w.r.IntN(4) == 0
	if w.r.IntN(2) == 0 {
		r.SetEdns0(uint16(512+w.r.IntN(4000)), w.r.IntN(2) == 0)
		r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte{1}}}
	}
	return r
}

// says is a random reply of the plugins below.
func (w *rewriter) says(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.AuthenticatedData = w.r.IntN(2) == 0
	switch w.r.IntN(5) {
	case 0:
		q := question{qname: r.Question[0].Name, qtype: r.Question[0].Qtype}
		m.Answer = q.standIn(&guard.Set{Addrs: []netip.Addr{w.ip(q.v6(), 1)}}, 5).Answer
	case 1:
		m.Rcode = dns.RcodeServerFailure
	case 2, 3:
		m.Rcode = dns.RcodeNameError
		fallthrough
	default:
		m.Ns = []dns.RR{soa}
		if opt := r.IsEdns0(); opt != nil && opt.Do() && w.r.IntN(2) == 0 {
			m.Ns = append(m.Ns, soaSigned)
		}
	}
	return m
}

// one makes one reply, and looks at it.
func (w *rewriter) one() {
	r := w.question()
	w.reply = w.says(r)
	var before []byte
	if w.r.IntN(16) == 0 {
		before = pack(w.T, w.reply)
	}
	c := &recorder{}
	if _, err := w.g.ServeDNS(context.Background(), c, r); err != nil || len(c.msgs) != 1 {
		w.Fatalf("%d replies, %v", len(c.msgs), err)
	}
	if before != nil && !bytes.Equal(pack(w.T, w.reply), before) {
		w.Fatal("the reply from below was changed in place")
	}
	m := c.msgs[0]
	kind := w.kind(r, m)
	w.made[kind]++
	switch kind {
	case "kept", "kept, signed":
		if err := shape(r, m); err != nil {
			w.Fatalf("%v\n%v\n%v", err, r, m)
		}
	case "shortened", "denied":
		w.negative(m)
	case "not there":
		v6 := r.Question[0].Qtype == dns.TypeAAAA
		if !w.e.known.Lacks(v6, &w.g.opts.rules, guard.At(time.Now()), false) || m.AuthenticatedData || m.Authoritative || m.Id != r.Id || r.IsEdns0() == nil && len(m.Extra) > 0 {
			w.Fatalf("%v\n%v", r, m)
		}
	}
}

// kind says what was made of a reply.
func (w *rewriter) kind(r, m *dns.Msg) string {
	isOther := !strings.EqualFold(r.Question[0].Name, api)
	switch {
	case m == w.reply && isOther:
		return "not guarded"
	case isOther:
		w.Fatal("what is not guarded was changed")
	case m == w.reply:
		return "passed on"
	case len(m.Answer) > 0 && hasSignatures(m.Answer):
		return "kept, signed"
	case len(m.Answer) > 0:
		return "kept"
	case m.Rcode == dns.RcodeSuccess && len(m.Ns) == 0 && m.RecursionAvailable:
		return "not there"
	case m.Rcode != w.reply.Rcode:
		return "denied"
	}
	return "shortened"
}

// negative looks at a negative reply that was changed.
func (w *rewriter) negative(m *dns.Msg) {
	want, got := w.reply.Copy(), m.Copy()
	isSigned := hasSignatures(want.Ns)
	if m.Rcode != want.Rcode && (isSigned || m.Rcode != dns.RcodeSuccess) {
		w.Fatalf("%v", m)
	}
	for i, rr := range got.Ns {
		if rr.Header().Ttl > 15 {
			w.Fatalf("%v", rr)
		}
		rr.Header().Ttl = want.Ns[i].Header().Ttl
		if soa, ok := rr.(*dns.SOA); ok && !isSigned {
			if soa.Minttl > 15 {
				w.Fatalf("%v", rr)
			}
			soa.Minttl = want.Ns[i].(*dns.SOA).Minttl
		}
	}
	if !isSigned && m.AuthenticatedData {
		w.Fatalf("AD on what was changed: %v", m)
	}
	got.Rcode, got.AuthenticatedData = want.Rcode, want.AuthenticatedData
	if !bytes.Equal(pack(w.T, got), pack(w.T, want)) {
		w.Fatalf("more was changed than it must:\n%v\n%v", want, m)
	}
}

func pack(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
