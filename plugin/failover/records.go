package failover

import (
	"context"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/steer"
)

// binding answers HTTPS and SVCB at a service's name (RFC 9460): the hints are
// what A and AAAA say at this moment, so that no client goes round them.
func (f *Failover) binding(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	s := &q.pub.Plan.Config.Services[i]
	d4 := q.decide(f, i, false)
	f.note(ctx, q, i, &d4)
	if s.Port == 0 && len(s.ALPN) == 0 {
		return q.send(f.negative(q, i))
	}
	f.shared.count(q.pub, i, &d4)
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	svcb := dns.SVCB{
		Hdr:      dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: t, Class: dns.ClassINET, Ttl: d4.TTL},
		Priority: 1, Target: ".",
	}
	if len(s.ALPN) > 0 {
		svcb.Value = append(svcb.Value, &dns.SVCBAlpn{Alpn: s.ALPN})
	}
	if s.Port != 0 && (s.Port != httpsPort || t == dns.TypeSVCB) {
		svcb.Value = append(svcb.Value, &dns.SVCBPort{Port: s.Port})
	}
	d6 := q.decide(f, i, true)
	if hint := f.hints(q, i, &d4); len(hint) > 0 {
		svcb.Value = append(svcb.Value, &dns.SVCBIPv4Hint{Hint: hint})
	}
	if hint := f.hints(q, i, &d6); len(hint) > 0 {
		svcb.Value = append(svcb.Value, &dns.SVCBIPv6Hint{Hint: hint})
	}
	if t == dns.TypeHTTPS {
		m.Answer = []dns.RR{&dns.HTTPS{SVCB: svcb}}
	} else {
		m.Answer = []dns.RR{&svcb}
	}
	return q.send(q.finish(m, &d4))
}

// httpsPort is the port that an HTTPS record need not say.
const httpsPort = 443

func (f *Failover) hints(q *query, i int32, d *steer.Decision) []net.IP {
	var ips [steer.MaxAnswers]netip.Addr
	n := d.Addrs(ips[:f.limit(q, i, d)])
	out := make([]net.IP, 0, n)
	for _, ip := range ips[:n] {
		out = append(out, ip.AsSlice())
	}
	return out
}

// srv answers at an SRV owner of service i (RFC 2782), with the addresses in the
// additional section. Other types there do not exist.
func (f *Failover) srv(ctx context.Context, q *query, i int32) (int, error) {
	s := &q.pub.Plan.Config.Services[i]
	d := q.decide(f, i, false)
	f.note(ctx, q, i, &d)
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	if t := q.r.Question[0].Qtype; t != dns.TypeSRV && t != dns.TypeANY {
		m.Ns = []dns.RR{q.zones(f).soa(q.pub, i)}
		return q.send(q.finish(m, &d))
	}
	f.shared.count(q.pub, i, &d)
	m.Answer = []dns.RR{&dns.SRV{
		Hdr:  dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: d.TTL},
		Port: s.Port, Target: s.Name,
	}}
	for _, v6 := range []bool{false, true} {
		a := q.decide(f, i, v6)
		m.Extra = append(m.Extra, f.addressRRs(q, i, &a, s.Name, d.TTL)...)
	}
	return q.send(q.finish(m, &d))
}

// addressRRs are the records of a decision, outside of the hot path.
func (f *Failover) addressRRs(q *query, i int32, d *steer.Decision, owner string, ttl uint32) (out []dns.RR) {
	var ips [steer.MaxAnswers]netip.Addr
	for _, ip := range ips[:d.Addrs(ips[:f.limit(q, i, d)])] {
		out = append(out, addressRR(owner, ip, ttl))
	}
	return out
}

// unflattened answers for a service whose names as endpoints are answered as
// names. Where a name is chosen its CNAME answers every type, for a CNAME stands
// alone at its owner (RFC 1034 section 3.6.2); at an apex it cannot stand.
func (f *Failover) unflattened(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	d := q.decide(f, i, t == dns.TypeAAAA)
	target, isName := d.Target(q.pub.Plan.Steer, i)
	if !isName && !d.Has() { // the pool may have the name's addresses in the other family only
		other := q.decide(f, i, t != dns.TypeAAAA)
		target, isName = other.Target(q.pub.Plan.Steer, i)
	}
	if !isName || q.zones(f).apex(q.pub.Plan.Config.Services[i].Name) != nil {
		return f.flattened(ctx, q, i, t)
	}
	f.shared.count(q.pub, i, &d)
	f.note(ctx, q, i, &d)
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	m.Answer = []dns.RR{&dns.CNAME{
		Hdr:    dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.TTL},
		Target: target,
	}}
	if t == dns.TypeA || t == dns.TypeAAAA {
		for _, ip := range addressesOf(q.pub.Plan.Steer, &d, i, target, t == dns.TypeAAAA) {
			m.Answer = append(m.Answer, addressRR(target, ip, d.TTL))
		}
	}
	return q.send(q.finish(m, &d))
}

// addressesOf returns the decision's addresses that belong to target.
func addressesOf(p *steer.Plan, d *steer.Decision, i int32, target string, v6 bool) []netip.Addr {
	var ips [steer.MaxAnswers]netip.Addr
	var out []netip.Addr
	for _, ip := range ips[:d.Addrs(ips[:min(p.Limits.MaxAnswers, steer.MaxAnswers)])] {
		if ip.Is4() != v6 && p.Owns(i, target, ip) {
			out = append(out, ip)
		}
	}
	return out
}
