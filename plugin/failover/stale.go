package failover

import (
	"context"
	"slices"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// pass hands a question that is not ours to the next plugin. Without a guard in the
// block, or EDNS in the question, that is all.
func (f *Failover) pass(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if f.guarded && r.IsEdns0() != nil {
		w = &stale{w, r}
	}
	if f.shared.load().Plan.Config.Rebind.Block && len(r.Question) == 1 && !isTransfer(r.Question[0].Qtype) {
		w = &unbound{w, r, f.shared}
	}
	return plugin.NextOrFailure(pluginName, f.Next, ctx, w, r)
}

// stale says of an answer that `guard` stands in with that it is stale: EDE 3 of
// RFC 8914. `guard` cannot, for `cache` above it keeps no extended errors.
type stale struct {
	dns.ResponseWriter
	r *dns.Msg
}

// WriteMsg implements dns.ResponseWriter.
func (s *stale) WriteMsg(m *dns.Msg) error {
	if !guard.Standing.Any() || m == nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 || !guard.Standing.Has(s.r.Question[0].Name) {
		return s.ResponseWriter.WriteMsg(m)
	}
	out := *m
	out.Extra = []dns.RR{s.option(m.IsEdns0())}
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			out.Extra = append(out.Extra, rr)
		}
	}
	return s.ResponseWriter.WriteMsg(&out)
}

// option is the OPT record of the reply: what it says already, and that it is
// stale.
func (s *stale) option(said *dns.OPT) *dns.OPT {
	opt := replyOPT(s.r.IsEdns0())
	if said != nil {
		opt.Option = slices.DeleteFunc(slices.Clone(said.Option), func(o dns.EDNS0) bool { return o.Option() == dns.EDNS0EDE })
	}
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer, ExtraText: guard.StaleText})
	return opt
}

// Write implements dns.ResponseWriter for plugins that write wire format.
func (s *stale) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if !guard.Standing.Any() || m.Unpack(b) != nil {
		return s.ResponseWriter.Write(b)
	}
	return len(b), s.WriteMsg(m)
}
