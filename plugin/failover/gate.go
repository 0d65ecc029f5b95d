package failover

import (
	"context"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
)

// gate is a plugin of its own in the chain, above the first one that asks other
// servers, and so below all that know an answer themselves: cached answers and
// guarded names are not held up by what waits. What is too much gets REFUSED, for
// which clients ask their next resolver at once, and which nobody caches.
type gate struct {
	next plugin.Handler
	door *door
}

// gateName is that of the gate among the plugins of a block.
const gateName = pluginName + "-gate"

// Name implements plugin.Handler.
func (g *gate) Name() string { return gateName }

// ServeDNS implements plugin.Handler. Questions of our own always pass: a flood of
// clients must not keep us from learning where the endpoints are.
func (g *gate) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	note := below.NoteOf(ctx)
	if note != nil && note.Own || len(r.Question) == 0 {
		return plugin.NextOrFailure(gateName, g.next, ctx, w, r)
	}
	p, ok := g.door.enter(r.Question[0].Name)
	if !ok {
		if note != nil {
			note.Refused = true
		}
		_ = w.WriteMsg(busy(r))
		return dns.RcodeSuccess, nil
	}
	defer g.door.leave(&p) // a panic below is recovered by the server
	return plugin.NextOrFailure(gateName, g.next, ctx, w, r)
}

// busy is the reply to what is too much.
func busy(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetRcode(r, dns.RcodeRefused)
	explain(m, r, dns.ExtendedErrorCodeOther, "too many questions wait for upstreams")
	return m
}
