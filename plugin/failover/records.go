package failover

import (
	"context"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/plan"
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
	out := []net.IP{}
	for _, ip := range f.chosen(q, i, d) {
		out = append(out, ip.AsSlice())
	}
	return out
}

// srv answers at an SRV owner of service i (RFC 2782), with the addresses in the
// additional section: one record at the service's port, or, where a catalog says ports,
// one for each port of each instance that A and AAAA answer. Other types there do not
// exist.
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
	hdr := dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: d.TTL}
	if instances := q.zones(f).ports[i]; instances != nil {
		f.srvOfInstances(m, q, i, hdr, instances)
	} else if s.Port != 0 {
		m.Answer = []dns.RR{&dns.SRV{Hdr: hdr, Port: s.Port, Target: s.Name}}
		for _, v6 := range []bool{false, true} {
			a := q.decide(f, i, v6)
			m.Extra = append(m.Extra, f.addressRRs(q, i, &a, s.Name, d.TTL)...)
		}
	}
	if len(m.Answer) == 0 {
		m.Ns, m.Extra = []dns.RR{q.zones(f).soa(q.pub, i)}, nil
	}
	return q.send(q.finish(m, &d))
}

// srvOfInstances adds the records of the instances that are answered. An address of the last
// resort, which no catalog lists, has the service's own port and name.
func (f *Failover) srvOfInstances(m *dns.Msg, q *query, i int32, hdr dns.RR_Header, instances map[netip.Addr]plan.Instance) {
	s := &q.pub.Plan.Config.Services[i]
	for _, v6 := range []bool{false, true} {
		a := q.decide(f, i, v6)
		for _, ip := range f.chosen(q, i, &a) {
			in, ok := instances[ip]
			if !ok {
				in = plan.Instance{Owner: s.Name, Addr: ip, Ports: servicePort(s)}
			}
			m.Answer = append(m.Answer, srvRRs(hdr, in)...)
			m.Extra = append(m.Extra, addressRR(in.Owner, ip, hdr.Ttl))
		}
	}
}

// servicePort is what SRV says of addresses without a port of their own.
func servicePort(s *config.Service) []config.Port {
	if s.Port == 0 {
		return nil
	}
	return []config.Port{{Number: s.Port}}
}

// srvRRs are the records of one instance, one for each of its ports.
func srvRRs(hdr dns.RR_Header, in plan.Instance) (out []dns.RR) {
	for _, p := range in.Ports {
		out = append(out, &dns.SRV{Hdr: hdr, Weight: p.Weight, Port: p.Number, Target: in.Owner})
	}
	return out
}

// instance answers at the name of one instance: with its address, whatever is known of
// it, for whoever asks has chosen it.
func (f *Failover) instance(ctx context.Context, q *query, at spot) (int, error) {
	d := q.decide(f, at.service, !at.addr.Is4())
	f.note(ctx, q, at.service, &d)
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	switch t := q.r.Question[0].Qtype; {
	case t == dns.TypeANY, t == dns.TypeA && at.addr.Is4(), t == dns.TypeAAAA && at.addr.Is6():
		m.Answer = []dns.RR{addressRR(q.r.Question[0].Name, at.addr, d.TTL)}
	default:
		m.Ns = []dns.RR{q.zones(f).soa(q.pub, at.service)}
	}
	return q.send(q.finish(m, &d))
}

// chosen are the addresses of a decision, outside of the hot path.
func (f *Failover) chosen(q *query, i int32, d *steer.Decision) []netip.Addr {
	ips := make([]netip.Addr, f.limit(q, i, d))
	return ips[:d.Addrs(ips)]
}

// addressRRs are the records of a decision, outside of the hot path.
func (f *Failover) addressRRs(q *query, i int32, d *steer.Decision, owner string, ttl uint32) (out []dns.RR) {
	for _, ip := range f.chosen(q, i, d) {
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
