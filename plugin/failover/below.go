package failover

import (
	"context"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// below asks the plugins below for a type that we do not answer at a service's
// name, and corrects what would take the name away from us.
func (f *Failover) below(ctx context.Context, q *query, i int32) (int, error) {
	c := &corrector{ResponseWriter: &editor{q.w, ctx, f, q.r}, f: f, q: *q, service: i}
	return plugin.NextOrFailure(pluginName, f.under(), ctx, c, q.r)
}

// ancestor asks the plugins below for a name above a service.
func (f *Failover) ancestor(ctx context.Context, q *query) (int, error) {
	c := &corrector{ResponseWriter: &editor{q.w, ctx, f, q.r}, f: f, q: *q, service: -1}
	return plugin.NextOrFailure(pluginName, f.under(), ctx, c, q.r)
}

// corrector edits a reply from below for a name that is a service's, or an
// ancestor of one:
//
//   - NXDOMAIN becomes NODATA: the name exists, and by RFC 8020 a cache would deny
//     everything below it as well;
//   - at the service's own name a reply that holds a CNAME becomes NODATA: caches
//     would follow it for A and AAAA too, and go round us.
type corrector struct {
	dns.ResponseWriter
	f       *Failover
	q       query // a copy: the one on the hot path stays on the stack
	service int32 // -1: an ancestor
}

// WriteMsg implements dns.ResponseWriter.
func (c *corrector) WriteMsg(m *dns.Msg) error {
	if m == nil || !c.wrong(m) {
		return c.ResponseWriter.WriteMsg(m)
	}
	return c.ResponseWriter.WriteMsg(c.corrected(m))
}

// Write implements dns.ResponseWriter for plugins that write wire format. What
// cannot be read is passed on as it is.
func (c *corrector) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil || !c.wrong(m) {
		return c.ResponseWriter.Write(b)
	}
	return len(b), c.ResponseWriter.WriteMsg(c.corrected(m))
}

func (c *corrector) wrong(m *dns.Msg) bool {
	if c.service >= 0 {
		return m.Rcode == dns.RcodeNameError || c.chained(m)
	}
	return m.Rcode == dns.RcodeNameError && !c.chained(m)
}

// chained reports whether the reply leads away from the name by a CNAME.
func (c *corrector) chained(m *dns.Msg) bool {
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			return true
		}
	}
	return false
}

func (c *corrector) corrected(m *dns.Msg) *dns.Msg {
	if c.service >= 0 {
		return c.f.negative(&c.q, c.service)
	}
	out := m.Copy()
	out.Rcode, out.AuthenticatedData = dns.RcodeSuccess, false
	out.Ns = soaOnly(out.Ns)
	return out
}

// soaOnly keeps what NODATA needs; proofs of the NXDOMAIN would contradict it.
func soaOnly(ns []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			out = append(out, rr)
		}
	}
	return out
}
