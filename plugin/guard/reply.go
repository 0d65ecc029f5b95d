package guard

import (
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// question is what a reply needs of a question. It is a copy: plugins below may
// still have the message when we answer.
type question struct {
	id    uint16
	qname string // as the client wrote it
	qtype uint16
	edns  bool
	size  uint16
	do    bool
	udp   bool // a reply may be cut short
}

func questionOf(r *dns.Msg) question {
	q := question{id: r.Id, qname: r.Question[0].Name, qtype: r.Question[0].Qtype}
	if opt := r.IsEdns0(); opt != nil {
		q.edns, q.size, q.do = true, opt.UDPSize(), opt.Do()
	}
	return q
}

func (q *question) v6() bool { return q.qtype == dns.TypeAAAA }

// reply begins a reply with data that is not ours and not validated: AA=0, AD=0.
func (q *question) reply() *dns.Msg {
	return &dns.Msg{
		MsgHdr: dns.MsgHdr{
			Id: q.id, Response: true, RecursionDesired: true, RecursionAvailable: true,
		},
		Compress: true,
		Question: []dns.Question{{Name: q.qname, Qtype: q.qtype, Qclass: dns.ClassINET}},
	}
}

// standIn makes the reply with what stands in: CNAMEs first, one TTL, and the
// extended error 3 (Stale Answer) for those who understand it.
func (q *question) standIn(s *guard.Set, ttl uint32) *dns.Msg {
	m := q.reply()
	owner := q.qname
	for _, target := range s.Chain {
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: q.header(owner, dns.TypeCNAME, ttl), Target: target})
		owner = target
	}
	for _, ip := range s.Addrs {
		h := q.header(owner, q.qtype, ttl)
		if q.v6() {
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: h, AAAA: ip.AsSlice()})
		} else {
			m.Answer = append(m.Answer, &dns.A{Hdr: h, A: ip.AsSlice()})
		}
	}
	q.explain(m)
	return m
}

// whole makes the reply with a kept answer and its own signatures, nil if there is
// none or it cannot be read. All have one lifetime: at most ttl, and what was signed.
func (q *question) whole(s *guard.Signed, ttl uint32) *dns.Msg {
	kept := new(dns.Msg)
	if s == nil || kept.Unpack(s.Wire) != nil {
		return nil
	}
	for _, rr := range kept.Answer {
		if sig, ok := rr.(*dns.RRSIG); ok {
			ttl = min(ttl, sig.OrigTtl)
		}
	}
	m := q.reply()
	for _, rr := range kept.Answer {
		if rr.Header().Rrtype == dns.TypeRRSIG && !q.do {
			continue
		}
		rr.Header().Ttl = ttl
		m.Answer = append(m.Answer, rr)
	}
	q.explain(m)
	return m
}

func (q *question) header(owner string, t uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}

func (q *question) explain(m *dns.Msg) {
	if !q.edns {
		return
	}
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(q.size)
	if q.do {
		opt.SetDo()
	}
	opt.Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer, ExtraText: guard.StaleText}}
	m.Extra = []dns.RR{opt}
}

// shorten keeps the negative reply for a guarded name from being cached for long:
// after the repair it would be the second wound. The reply is not ours: what is
// changed is a copy. Of what is signed only the lifetime may be changed.
func shorten(m *dns.Msg, ttl uint32) *dns.Msg {
	if m.Rcode != dns.RcodeNameError && m.Rcode != dns.RcodeSuccess {
		return m
	}
	out := *m
	out.Ns = make([]dns.RR, len(m.Ns))
	isSigned := hasSignatures(m.Ns)
	for i, rr := range m.Ns {
		out.Ns[i] = shorter(rr, ttl, isSigned)
	}
	out.AuthenticatedData = m.AuthenticatedData && isSigned
	return &out
}

// shorter returns a record as it is, or one that says how long a negative reply is
// true with less.
func shorter(rr dns.RR, ttl uint32, isSigned bool) dns.RR {
	switch x := rr.(type) {
	case *dns.SOA:
		s := *x
		s.Hdr.Ttl = min(s.Hdr.Ttl, ttl)
		if !isSigned {
			s.Minttl = min(s.Minttl, ttl)
		}
		return &s
	case *dns.RRSIG:
		if x.TypeCovered == dns.TypeSOA {
			s := *x
			s.Hdr.Ttl = min(s.Hdr.Ttl, ttl)
			return &s
		}
	}
	return rr
}

// denier turns NXDOMAIN into NODATA for a name that exists because it stands in,
// or has a name below it that does.
type denier struct {
	dns.ResponseWriter
	ttl uint32
}

// WriteMsg implements dns.ResponseWriter.
func (d *denier) WriteMsg(m *dns.Msg) error {
	if m == nil || m.Rcode != dns.RcodeNameError || len(m.Answer) > 0 {
		return d.ResponseWriter.WriteMsg(m)
	}
	return d.ResponseWriter.WriteMsg(denied(m, d.ttl))
}

// denied is an NXDOMAIN made NODATA. One with its proofs stays what it is: who asked
// for these would see that they say something else.
func denied(m *dns.Msg, ttl uint32) *dns.Msg {
	out := *shorten(m, ttl)
	if hasSignatures(m.Ns) {
		return &out
	}
	out.Rcode, out.AuthenticatedData = dns.RcodeSuccess, false
	var soa []dns.RR
	for _, rr := range out.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			soa = append(soa, rr)
		}
	}
	out.Ns = soa
	return &out
}

// Write implements dns.ResponseWriter for plugins that write wire format.
func (d *denier) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil || m.Rcode != dns.RcodeNameError {
		return d.ResponseWriter.Write(b)
	}
	return len(b), d.WriteMsg(m)
}
