package failover

import (
	"net/netip"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/steer"
)

// reply is a message with everything that it points to in one allocation: on the
// hot path the collector sees one object and not twenty. Plugins above may edit
// what is in it; nothing of it is shared.
type reply struct {
	msg dns.Msg
	q   [1]dns.Question
	rrs [small]dns.RR
	a   [small]dns.A
	ip4 [small][4]byte
}

// small is the number of addresses that fit a reply made in one allocation.
// Answers with more, and AAAA answers, take one for each record.
const small = 2

// start fills in what every reply has: RFC 1035 section 4.1.1, and the question
// echoed unchanged.
func (f *Failover) start(m *dns.Msg, q *query, aa bool) {
	m.Id = q.r.Id
	m.Response, m.Authoritative, m.RecursionDesired = true, aa, q.r.RecursionDesired
	m.RecursionAvailable = f.recursive
	m.CheckingDisabled = q.r.CheckingDisabled
	m.Compress = true
}

// addresses makes the reply with the decision's addresses.
func (f *Failover) addresses(q *query, i int32, d *steer.Decision, v6 bool) *dns.Msg {
	var ips [steer.MaxAnswers]netip.Addr
	n := d.Addrs(ips[:f.limit(q, i, d)])
	re := &reply{}
	m := &re.msg
	f.start(m, q, true)
	re.q[0] = q.r.Question[0]
	m.Question = re.q[:]
	if n <= small && !v6 {
		re.fill(ips[:n], q.r.Question[0].Name, d.TTL)
		return m
	}
	m.Answer = make([]dns.RR, 0, n)
	for _, ip := range ips[:n] {
		m.Answer = append(m.Answer, addressRR(q.r.Question[0].Name, ip, d.TTL))
	}
	return m
}

// limit is how many addresses of a decision are said.
func (f *Failover) limit(q *query, i int32, d *steer.Decision) int {
	if f.shared.trait(q.pub, i)&single != 0 && !d.Panic {
		return 1
	}
	return min(q.pub.Plan.Steer.Limits.MaxAnswers, steer.MaxAnswers)
}

// fill writes A records into the reply's own room.
func (re *reply) fill(ips []netip.Addr, owner string, ttl uint32) {
	for i, ip := range ips {
		re.ip4[i] = ip.As4()
		re.a[i] = dns.A{
			Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl},
			A:   re.ip4[i][:],
		}
		re.rrs[i] = &re.a[i]
	}
	re.msg.Answer = re.rrs[:len(ips):len(ips)]
}

func addressRR(owner string, ip netip.Addr, ttl uint32) dns.RR {
	h := dns.RR_Header{Name: owner, Class: dns.ClassINET, Ttl: ttl}
	if ip.Is4() {
		h.Rrtype = dns.TypeA
		return &dns.A{Hdr: h, A: ip.AsSlice()}
	}
	h.Rrtype = dns.TypeAAAA
	return &dns.AAAA{Hdr: h, AAAA: ip.AsSlice()}
}

// finish adds the EDNS options that a decision calls for.
func (q *query) finish(m *dns.Msg, d *steer.Decision) *dns.Msg {
	if d.Panic || q.ecs != nil {
		q.options(m, d)
	}
	return m
}

// send writes a reply. A client that left is no error of ours.
func (q *query) send(m *dns.Msg) (int, error) {
	_ = q.w.WriteMsg(m)
	return dns.RcodeSuccess, nil
}

// options adds what an EDNS client is told beside the answer: RFC 8914 says why,
// RFC 7871 for whom. The server's writer fills in the rest of the record.
func (q *query) options(m *dns.Msg, d *steer.Decision) {
	req := q.r.IsEdns0()
	if req == nil {
		return
	}
	opt := replyOPT(req)
	if d.Refuse {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNotReady, ExtraText: "no healthy or known address"})
	} else if d.Panic {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: ExtendedErrorSynthesized, ExtraText: panicText(d)})
	}
	if q.ecs != nil {
		scope := uint8(0)
		if d.Scoped {
			scope = min(q.ecs.SourceNetmask, uint8(scopeLimit(q.place)))
		}
		opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: q.ecs.Family, SourceNetmask: q.ecs.SourceNetmask,
			SourceScope: scope, Address: q.ecs.Address,
		})
	}
	m.Extra = append(m.Extra, opt)
}

// ExtendedErrorSynthesized is the extended error of an answer of last resort:
// 29, "Synthesized" (IANA registry of RFC 8914).
const ExtendedErrorSynthesized uint16 = 29

const (
	lastResortText = "last resort: no endpoint is healthy"
	frozenText     = "frozen by an operator: no endpoint of the pools in use is healthy"
)

// panicText says why addresses are answered that are not healthy.
func panicText(d *steer.Decision) string {
	if d.Reason == steer.ReasonFrozen {
		return frozenText
	}
	return lastResortText
}

// negative makes the reply that the name exists without the asked type (RFC 2308
// section 2.2), with the SOA that lets it be cached no longer than that may stay so.
func (f *Failover) negative(q *query, i int32) *dns.Msg {
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	m.Ns = []dns.RR{q.zones(f).soa(q.pub, i)}
	return m
}

// fail answers SERVFAIL: last resort none.
func (f *Failover) fail(q *query) *dns.Msg {
	m := new(dns.Msg)
	f.start(m, q, false)
	m.Rcode = dns.RcodeServerFailure
	m.Question = []dns.Question{q.r.Question[0]}
	return m
}

// refuse answers clients that may not use the chain below us (BCP 140).
func (f *Failover) refuse(w dns.ResponseWriter, r *dns.Msg) (int, error) {
	f.shared.strange.meet(w)
	q := query{w: w, r: r}
	m := new(dns.Msg)
	f.start(m, &q, false)
	m.Opcode, m.Rcode, m.RecursionAvailable = r.Opcode, dns.RcodeRefused, false
	m.Question = r.Question
	explain(m, r, dns.ExtendedErrorCodeProhibited, "")
	return q.send(m)
}

// any answers ANY with as little as RFC 8482 section 4.2 allows.
func (f *Failover) any(q *query) *dns.Msg {
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	m.Answer = []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: 3600},
		Cpu: "RFC8482",
	}}
	return m
}
