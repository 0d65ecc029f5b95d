package failover

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
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
	if req := r.IsEdns0(); req != nil {
		opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		opt.Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: "too many questions wait for upstreams"}}
		m.Extra = append(m.Extra, opt)
	}
	return m
}

// asking are the plugins that ask other servers for each question.
var asking = []string{"etcd", "forward", "grpc"}

// gates are the blocks that get a gate if one of these stands in them. What plugins
// a block has is known by directive: those of all blocks are set up, then the next.
// One Corefile is read at a time; a setup that never gets to the end, as that of a
// check, leaves entries that the next one drops.
var gates struct {
	mu     sync.Mutex // guards what follows
	hooked bool
	of     caddy.Context // of the Corefile that is read
	blocks []*gated
}

type gated struct {
	block *dnsserver.Config
	door  *door
	above int // plugins of the block that know an answer themselves
}

// addGate notes that a block is to get a gate.
func addGate(c *caddy.Controller, block *dnsserver.Config, d *door) {
	gates.mu.Lock()
	defer gates.mu.Unlock()
	if !gates.hooked {
		gates.hooked = true
		if before, last := around(dnsserver.Directives, asking); last != "" {
			caddy.RegisterParsingCallback("dns", before, forGates(func(g *gated) { g.above = len(g.block.Plugin) }))
			caddy.RegisterParsingCallback("dns", last, forGates((*gated).place))
		}
	}
	if gates.of != c.Context() {
		gates.of, gates.blocks = c.Context(), nil
	}
	gates.blocks = append(gates.blocks, &gated{block: block, door: d})
}

// around returns the directive before the first of some, and the last of these. Both
// are "" if there is none, or none before it.
func around(all, some []string) (before, last string) {
	for i, d := range all {
		if i > 0 && slices.Contains(some, d) {
			last = d
			before = cmp.Or(before, all[i-1])
		}
	}
	return before, last
}

func forGates(do func(*gated)) func(caddy.Context) error {
	return func(of caddy.Context) error {
		gates.mu.Lock()
		defer gates.mu.Unlock()
		if gates.of == of {
			for _, g := range gates.blocks {
				do(g)
			}
		}
		return nil
	}
}

// place puts the gate above the first plugin that asks.
func (g *gated) place() {
	if len(g.block.Plugin) > g.above {
		g.block.Plugin = slices.Insert(g.block.Plugin, g.above, func(next plugin.Handler) plugin.Handler { return &gate{next, g.door} })
	}
}
