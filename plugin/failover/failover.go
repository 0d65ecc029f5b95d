// Package failover is a CoreDNS plugin that answers for services: names whose
// addresses lie in several regions. It answers with those that are healthy.
package failover

import (
	"context"
	"math/rand/v2"
	"net/netip"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// pluginName is the directive's name.
const pluginName = "failover"

// Failover is the plugin's handler.
type Failover struct {
	Next plugin.Handler

	shared    *shared
	recursive bool // the server block has `forward`: RA is set
}

// Name implements plugin.Handler.
func (f *Failover) Name() string { return pluginName }

// query is one query on its way through the plugin. It lives on the stack.
type query struct {
	w      dns.ResponseWriter
	r      *dns.Msg
	pub    *engine.Published
	names  *names
	client netip.Addr // who asked
	place  netip.Addr // where the answer is for: the client, or an ECS prefix
	ecs    *dns.EDNS0_SUBNET
	spread bool
}

// ServeDNS implements plugin.Handler. If it wrote a reply it returns
// (RcodeSuccess, nil), whatever the reply says; else it returns what came from
// the plugins below.
func (f *Failover) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || r.Question[0].Qclass != dns.ClassINET {
		return plugin.NextOrFailure(pluginName, f.Next, ctx, w, r)
	}
	pub := f.shared.load()
	var buf [maxName]byte
	name, ok := lower(&buf, r.Question[0].Name)
	if !ok {
		return plugin.NextOrFailure(pluginName, f.Next, ctx, w, r)
	}
	client := clientAddr(w)
	i, ours := pub.Plan.Steer.Lookup(name)
	if !pub.Plan.Config.Recursion.Contains(client) && (!ours || !pub.Plan.Config.Services[i].Public) {
		return f.refuse(w, r)
	}
	if ours {
		return f.service(ctx, w, r, pub, i, client)
	}
	return f.other(ctx, w, r, pub, name, client)
}

// service answers for service i.
func (f *Failover) service(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published, i int32, client netip.Addr) (int, error) {
	q := query{w: w, r: r, pub: pub, client: client, place: client}
	f.shared.crowd.add(client)
	cfg := pub.Plan.Config
	if len(cfg.ECSTrust) > 0 {
		q.locate(cfg)
	}
	if len(cfg.Forwarders) > 0 {
		q.spread = contains(cfg.Forwarders, client)
	}
	t := r.Question[0].Qtype
	if !cfg.Services[i].Flatten {
		return f.unflattened(ctx, &q, i, t)
	}
	return f.flattened(ctx, &q, i, t)
}

func (f *Failover) flattened(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	if t == dns.TypeA || t == dns.TypeAAAA {
		return f.address(q, i, t == dns.TypeAAAA)
	}
	return f.otherType(ctx, q, i, t)
}

// address answers A and AAAA.
func (f *Failover) address(q *query, i int32, v6 bool) (int, error) {
	d := q.decide(f, i, v6)
	f.shared.count(q.pub, i, &d)
	if d.Refuse {
		return f.fail(q, &d)
	}
	if !d.Has() {
		return f.noData(q, i, &d)
	}
	return f.addresses(q, i, &d, v6)
}

// decide asks the snapshot.
func (q *query) decide(f *Failover, i int32, v6 bool) steer.Decision {
	return q.pub.Decide(steer.Query{
		Service: i, V6: v6, Client: q.place, Minute: f.shared.minute.Load(), Seed: rand.Uint64(),
		Spread: q.spread || f.shared.few.Load(),
	})
}

// otherType answers what is not an address at a service's name.
func (f *Failover) otherType(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	switch t {
	case dns.TypeHTTPS, dns.TypeSVCB:
		return f.binding(q, i, t)
	case dns.TypeANY:
		return f.any(q)
	case dns.TypeSOA, dns.TypeNS:
		if z := q.zones(f).apex(q.pub.Plan.Config.Services[i].Name); z != nil {
			return f.apex(q, z, t)
		}
	case dns.TypeCNAME:
		d := q.decide(f, i, false)
		return f.noData(q, i, &d)
	}
	return f.below(ctx, q, i)
}

// other answers names that are no service's own: owners of SRV records, a zone's
// apex, and else what the plugins below say, without an NXDOMAIN for an ancestor
// of a service.
func (f *Failover) other(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published, name []byte, client netip.Addr) (int, error) {
	ns := f.shared.namesOf(pub)
	if !ns.any && !pub.Plan.Steer.Exists(name) {
		return plugin.NextOrFailure(pluginName, f.Next, ctx, w, r)
	}
	q := query{w: w, r: r, pub: pub, names: ns, client: client, place: client}
	if i, ok := ns.srv[string(name)]; ok {
		return f.srv(ctx, &q, i)
	}
	t := r.Question[0].Qtype
	if z := ns.apex(string(name)); z != nil && (t == dns.TypeSOA || t == dns.TypeNS) {
		return f.apex(&q, z, t)
	}
	if pub.Plan.Steer.Exists(name) {
		return f.ancestor(ctx, &q)
	}
	return plugin.NextOrFailure(pluginName, f.Next, ctx, w, r)
}

func (q *query) zones(f *Failover) *names {
	if q.names == nil {
		q.names = f.shared.namesOf(q.pub)
	}
	return q.names
}

func contains(nets []netip.Prefix, a netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// locate takes the place from the client-subnet option, if the client is trusted
// to give one (RFC 7871). A prefix longer than /24 or /56 is cut: no answer is
// made for less than that.
func (q *query) locate(cfg *config.Config) {
	opt := q.r.IsEdns0()
	if opt == nil || !contains(cfg.ECSTrust, q.client) {
		return
	}
	for _, o := range opt.Option {
		e, ok := o.(*dns.EDNS0_SUBNET)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(e.Address)
		a = a.Unmap()
		if !ok || e.SourceNetmask == 0 || a.Is4() != (e.Family == 1) {
			return
		}
		p, err := a.Prefix(min(int(e.SourceNetmask), scopeLimit(a)))
		if err == nil {
			q.place, q.ecs = p.Addr(), e
		}
		return
	}
}

func scopeLimit(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 56
}
