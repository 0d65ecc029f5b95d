package failover

import (
	"context"
	"slices"
	"strings"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// last is the last plugin of a block. What comes to it no other plugin answered: for
// names of a declared zone it says what is so, in the place of a SERVFAIL.
type last struct{ f *Failover }

// Name implements plugin.Handler.
func (last) Name() string { return "failover-last" }

// ServeDNS implements plugin.Handler.
func (e last) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	pub := e.f.shared.load()
	if len(r.Question) == 1 && r.Opcode == dns.OpcodeQuery && r.Question[0].Qclass == dns.ClassINET && !isTransfer(r.Question[0].Qtype) {
		q := query{w: w, r: r, pub: pub, client: clientAddr(w)}
		if m := e.f.nothing(&q); m != nil {
			return q.send(m)
		}
	}
	return plugin.NextOrFailure(pluginName, nil, ctx, w, r)
}

// nothing makes the negative reply for a name of which nobody knows a record of the
// asked type: NODATA if something stands at or below it (RFC 2308 section 2.2, RFC 8020),
// NXDOMAIN else (section 2.1). It is nil for a name outside of what is declared here.
func (f *Failover) nothing(q *query) *dns.Msg {
	name := strings.ToLower(q.r.Question[0].Name)
	i, ours, exists := f.lookup(q.pub, name)
	if ours {
		return f.negative(q, i)
	}
	z := q.zones(f).zoneOf(name)
	if z == nil {
		return nil
	}
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	m.Ns = []dns.RR{zoneSOA(z, q.pub)}
	if !exists && z.Name != name {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// under is the plugin below us.
func (f *Failover) under() plugin.Handler {
	if f.Next == nil {
		return last{f}
	}
	return f.Next
}

// passing are the plugins below us that answer nothing by themselves.
var passing = []string{"cache", "guard", "header", "tls", "minimal", "transfer", "loop", "view"}

// alone reports whether no plugin of the block below us answers for a name in lower
// case: what is to be said of it, we know.
func (f *Failover) alone(name string) bool {
	return !slices.ContainsFunc(f.others, func(zones plugin.Zones) bool { return zones.Matches(name) != "" })
}

// othersIn returns the zones of each plugin of a block that stands below us and
// answers. One that does not say its zones may answer for all.
func othersIn(block *dnsserver.Config) (others []plugin.Zones) {
	at := slices.Index(dnsserver.Directives, pluginName)
	for _, name := range dnsserver.Directives[at+1:] {
		h := block.Handler(name)
		if h == nil || slices.Contains(passing, name) {
			continue
		}
		zones, ok := zonesOf(h)
		if !ok {
			zones = plugin.Zones{"."}
		}
		others = append(others, zones)
	}
	return others
}
