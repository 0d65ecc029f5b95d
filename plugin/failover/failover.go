// Package failover is a CoreDNS plugin that answers for services: names whose
// addresses lie in several regions. It answers with those that are healthy.
package failover

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
	"github.com/detour-dns/detour/internal/transport"
)

// pluginName is the directive's name.
const pluginName = "failover"

// Failover is the plugin's handler.
type Failover struct {
	Next plugin.Handler

	shared    *shared
	recursive bool           // the server block has `forward`: RA is set
	noted     bool           // and `metadata`: others want to know what was decided
	guarded   bool           // and `guard`: what stands in is marked
	signed    plugin.Zones   // what `dnssec` above us signs
	others    []plugin.Zones // and what each plugin below us answers for
	known     []knows        // and the names that their data have
	zone      string         // of the server block
	behind    []answerer     // the plugins below us that may answer, as asked
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
	seed   uint64 // one for all that a reply says, so that its parts agree
}

// ServeDNS implements plugin.Handler. If it wrote a reply it returns
// (RcodeSuccess, nil), whatever the reply says; else it returns what came from
// the plugins below.
//
// Every packet is served by a new goroutine, whose small first stack grows when
// it is used up; that is a sixth of a server's time. So what needs room (names,
// addresses, the reply) is done in calls that have returned before the reply is
// written, which is where the stack is deepest.
func (f *Failover) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	pub := f.shared.load()
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || r.Question[0].Qclass != dns.ClassINET {
		return f.unusual(ctx, w, r, pub)
	}
	if len(r.Extra) > 0 && transport.Malformed(r) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeFormatError)) // a client that left is no error of ours
		return dns.RcodeSuccess, nil
	}
	i, found := f.find(pub, w, r)
	switch found {
	case foreign:
		return f.next(ctx, w, r)
	case plainAddress:
		if f.noted {
			return f.service(ctx, w, r, pub, i)
		}
		_ = w.WriteMsg(f.plain(pub, i, w, r)) // a client that left is no error of ours
		return dns.RcodeSuccess, nil
	case service:
		return f.service(ctx, w, r, pub, i)
	case outside:
		return f.outsider(ctx, w, r, pub)
	case related:
	}
	return f.other(ctx, w, r, pub)
}

// finding is what a question is to us.
type finding uint8

const (
	foreign      finding = iota // nothing: the next plugin's
	related                     // an ancestor of a service, a zone's apex, an SRV owner, or perhaps one
	outside                     // from a client that may not ask plugins below, or anything
	service                     // at a service's name
	plainAddress                // and for the addresses of one that looks at nothing but them
)

// find says what a question is to us.
//
//go:noinline
func (f *Failover) find(pub *engine.Published, w dns.ResponseWriter, r *dns.Msg) (i int32, _ finding) {
	i, ours, exists := f.lookup(pub, r.Question[0].Name)
	if cfg := pub.Plan.Config; !cfg.Recursion.Contains(clientAddr(w)) && (!ours || !cfg.Services[i].Public) {
		return 0, outside
	}
	switch t := r.Question[0].Qtype; {
	case isTransfer(t): // many messages, none of which may be touched
		return 0, foreign
	case ours && (t == dns.TypeA || t == dns.TypeAAAA) && f.shared.trait(pub, i)&flat != 0:
		return i, plainAddress
	case ours:
		return i, service
	case exists:
		return 0, related
	}
	return 0, foreign
}

// lookup is steer.Plan.Lookup, but that names which exist below us are no wildcard's.
func (f *Failover) lookup(pub *engine.Published, name string) (i int32, ours, exists bool) {
	var buf [maxName]byte
	i, ours, exists = pub.Plan.Steer.Lookup(lower(&buf, name))
	if ours && f.shared.trait(pub, i)&wild != 0 && f.hides(pub, i, name) {
		return 0, false, false
	}
	return i, ours, exists
}

func isTransfer(t uint16) bool { return t == dns.TypeAXFR || t == dns.TypeIXFR }

// plain makes the reply to a question for addresses.
//
//go:noinline
func (f *Failover) plain(pub *engine.Published, i int32, w dns.ResponseWriter, r *dns.Msg) *dns.Msg {
	q := f.query(w, r, pub)
	v6 := r.Question[0].Qtype == dns.TypeAAAA
	d := q.decide(f, i, v6)
	return f.address(&q, i, &d, v6)
}

// query gathers what an answer depends on.
func (f *Failover) query(w dns.ResponseWriter, r *dns.Msg, pub *engine.Published) query {
	client := clientAddr(w)
	q := query{w: w, r: r, pub: pub, client: client, place: client, seed: rand.Uint64()}
	cfg := pub.Plan.Config
	if len(cfg.ECSTrust) > 0 {
		q.locate(cfg)
	}
	if len(cfg.Forwarders) > 0 && (q.ecs == nil || q.ecs.SourceNetmask == 0) { // one that says for whom it asks is no crowd
		q.spread = contains(cfg.Forwarders, client)
	}
	f.shared.crowd.add(q.place)
	return q
}

// service answers at the name of service i.
func (f *Failover) service(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published, i int32) (int, error) {
	q := f.query(w, r, pub)
	t := r.Question[0].Qtype
	if f.shared.trait(pub, i)&flat == 0 {
		return f.unflattened(ctx, &q, i, t)
	}
	return f.flattened(ctx, &q, i, t)
}

func (f *Failover) flattened(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	if t == dns.TypeA || t == dns.TypeAAAA {
		d := q.decide(f, i, t == dns.TypeAAAA)
		f.note(ctx, q, i, &d)
		return q.send(f.address(q, i, &d, t == dns.TypeAAAA))
	}
	return f.otherType(ctx, q, i, t)
}

// address makes the reply to A and AAAA.
func (f *Failover) address(q *query, i int32, d *steer.Decision, v6 bool) *dns.Msg {
	f.shared.count(q.pub, i, d)
	switch {
	case d.Refuse && !d.NoData:
		return q.finish(f.fail(q), d)
	case !d.Has():
		return q.finish(f.negative(q, i), d)
	}
	return q.finish(f.addresses(q, i, d, v6), d)
}

// decide asks the snapshot.
func (q *query) decide(f *Failover, i int32, v6 bool) steer.Decision {
	return q.pub.Decide(steer.Query{
		Service: i, V6: v6, Client: q.place, Minute: f.shared.minute.Load(), Seed: q.seed,
		Spread: q.spread || f.shared.few.Load(),
	})
}

// otherType answers what is not an address at a service's name.
func (f *Failover) otherType(ctx context.Context, q *query, i int32, t uint16) (int, error) {
	switch t {
	case dns.TypeHTTPS, dns.TypeSVCB:
		return f.binding(ctx, q, i, t)
	case dns.TypeANY:
		return q.send(f.any(q))
	case dns.TypeSOA, dns.TypeNS:
		if z := q.zones(f).apex(q.pub.Plan.Config.Services[i].Name); z != nil {
			return f.apex(ctx, q, z, t)
		}
	case dns.TypeCNAME:
		return q.send(f.negative(q, i))
	}
	if name := q.pub.Plan.Config.Services[i].Name; f.recursive && !q.pub.Plan.Config.Recursion.Contains(q.client) && !f.alone(strings.TrimPrefix(name, "*.")) {
		return f.refuse(q.w, q.r) // that a service is public opens nothing but itself
	}
	return f.below(ctx, q, i)
}

// other answers names that are no service's own: owners of SRV records, a zone's
// apex, and else what the plugins below say, without an NXDOMAIN for an ancestor
// of a service.
func (f *Failover) other(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published) (int, error) {
	var buf [maxName]byte
	name := lower(&buf, r.Question[0].Name)
	ns := f.shared.namesOf(pub)
	if i, ok := ns.beside(string(name)); ok {
		return f.beside(ctx, w, r, pub, i)
	}
	t := r.Question[0].Qtype
	q := query{w: w, r: r, pub: pub, names: ns}
	if z := ns.apex(string(name)); z != nil && (t == dns.TypeSOA || t == dns.TypeNS) {
		return f.apex(ctx, &q, z, t)
	}
	if pub.Plan.Steer.Exists(name) {
		return f.ancestor(ctx, &q)
	}
	return f.next(ctx, w, r)
}

// outsider answers a client that may ask for public services only: their SRV
// owners, and the apexes of zones that hold one, are as public as they are.
func (f *Failover) outsider(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published) (int, error) {
	var buf [maxName]byte
	name := lower(&buf, r.Question[0].Name)
	ns := f.shared.namesOf(pub)
	if i, ok := ns.beside(string(name)); ok && pub.Plan.Config.Services[i].Public {
		return f.beside(ctx, w, r, pub, i)
	}
	t := r.Question[0].Qtype
	if z := ns.apex(string(name)); z != nil && ns.public[z] && (t == dns.TypeSOA || t == dns.TypeNS) {
		return f.apex(ctx, &query{w: w, r: r, pub: pub, names: ns}, z, t)
	}
	if z := ns.zoneOf(string(name)); z != nil && ns.public[z] && f.alone(z.Name) && !f.secret(pub, ns, string(name)) {
		q := query{w: w, r: r, pub: pub, names: ns}
		return q.send(f.nothing(&q))
	}
	return f.refuse(w, r)
}

// beside answers at a name of service i that is not its own: the owner of an SRV record,
// or one of its instances.
func (f *Failover) beside(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published, i int32) (int, error) {
	q := f.query(w, r, pub)
	if at, ok := q.zones(f).spots[strings.ToLower(r.Question[0].Name)]; ok {
		return f.instance(ctx, &q, at)
	}
	return f.srv(ctx, &q, i)
}

// secret reports whether a name is that of a service that is not public.
func (f *Failover) secret(pub *engine.Published, ns *names, name string) bool {
	i, ours, _ := f.lookup(pub, name)
	if !ours {
		i, ours = ns.beside(name)
	}
	return ours && !pub.Plan.Config.Services[i].Public
}

// unusual passes on what is no plain question, from clients that may ask the
// plugins below. NOTIFY is no question: who may send it, its plugin knows.
func (f *Failover) unusual(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, pub *engine.Published) (int, error) {
	if r.Opcode != dns.OpcodeNotify && !pub.Plan.Config.Recursion.Contains(clientAddr(w)) {
		return f.refuse(w, r)
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
// made for less than that. One of 0 bits says that no client is to be told of: the
// answer is as without it, and it is returned with scope 0 (section 7.2.1).
func (q *query) locate(cfg *config.Config) {
	opt := q.r.IsEdns0()
	if opt == nil || !contains(cfg.ECSTrust, q.client) {
		return
	}
	e := transport.SubnetIn(opt)
	switch {
	case e == nil:
		return
	case e.SourceNetmask == 0:
		q.ecs = e
		return
	}
	a, ok := netip.AddrFromSlice(e.Address)
	a = a.Unmap()
	if !ok || a.Is4() != (e.Family == 1) {
		return
	}
	if p, err := a.Prefix(min(int(e.SourceNetmask), scopeLimit(a))); err == nil {
		q.place, q.ecs = p.Addr(), e
	}
}

func scopeLimit(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 56
}
