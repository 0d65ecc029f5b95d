package failover

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/plan"
)

// names is what else than the services themselves is ours under one plan.
type names struct {
	plan  *plan.Plan
	srv   map[string]int32                       // "_https._tcp.shop.example.org." -> service
	spots map[string]spot                        // "0a580001.addr.shop.example.org." -> an instance of a service
	ports map[int32]map[netip.Addr]plan.Instance // by service and address: instances that SRV says with their own ports
	zones []*config.Zone                         // longest first is not needed: apexes differ

	public map[*config.Zone]bool // zones that hold a public service
}

func newNames(p *plan.Plan) *names {
	n := &names{plan: p, srv: map[string]int32{}, spots: map[string]spot{}, ports: map[int32]map[netip.Addr]plan.Instance{}, public: map[*config.Zone]bool{}}
	for i := range p.Config.Zones {
		n.zones = append(n.zones, &p.Config.Zones[i])
	}
	for i := range p.Config.Services {
		s := &p.Config.Services[i]
		for _, label := range s.SRV {
			n.srv[plan.SRVOwner(s, label)] = int32(i)
		}
		n.addInstances(int32(i), s)
		if z := n.zoneOf(strings.TrimPrefix(s.Name, "*.")); z != nil && s.Public {
			n.public[z] = true
		}
	}
	return n
}

// spot is an instance of a service.
type spot struct {
	service int32
	addr    netip.Addr
}

func (n *names) addInstances(i int32, s *config.Service) {
	for _, in := range plan.Instances(s) {
		if n.ports[i] == nil {
			n.ports[i] = map[netip.Addr]plan.Instance{}
		}
		n.ports[i][in.Addr] = in
		n.spots[in.Owner] = spot{i, in.Addr}
	}
}

// beside returns the service of which a name is the owner of an SRV record, or that of an
// instance.
func (n *names) beside(name string) (i int32, ok bool) {
	if i, ok = n.srv[name]; !ok {
		var at spot
		at, ok = n.spots[name]
		i = at.service
	}
	return i, ok
}

// namesOf returns the names of a published plan. They are made once per plan.
func (s *shared) namesOf(pub *engine.Published) *names {
	if n := s.names.Load(); n != nil && n.plan == pub.Plan {
		return n
	}
	n := newNames(pub.Plan)
	s.names.Store(n)
	return n
}

// apex returns the zone of which name is the apex, nil if it is none's.
func (n *names) apex(name string) *config.Zone {
	for _, z := range n.zones {
		if z.Name == name {
			return z
		}
	}
	return nil
}

// zoneOf returns the declared zone that holds name, the deepest one.
func (n *names) zoneOf(name string) *config.Zone {
	var best *config.Zone
	for _, z := range n.zones {
		if dns.IsSubDomain(z.Name, name) && (best == nil || len(z.Name) > len(best.Name)) {
			best = z
		}
	}
	return best
}

// soa returns the SOA for a negative answer of service i. Of a service in no
// declared zone it is owned by the service's own name, so that nothing else of
// that zone is said.
func (n *names) soa(pub *engine.Published, i int32) dns.RR {
	s := &pub.Plan.Config.Services[i]
	name := strings.TrimPrefix(s.Name, "*.")
	if z := n.zoneOf(name); z != nil {
		return zoneSOA(z, pub)
	}
	return newSOA(name, name, "hostmaster."+name, pub, s.TTL.Changing)
}

func zoneSOA(z *config.Zone, pub *engine.Published) dns.RR {
	ns := z.Name
	if len(z.NS) > 0 {
		ns = z.NS[0]
	}
	return newSOA(z.Name, ns, mailbox(z), pub, z.Minimum)
}

// mailbox is the zone's mailbox as a name: one without a dot lies in the zone.
func mailbox(z *config.Zone) string {
	m := strings.ReplaceAll(strings.TrimSuffix(z.Mbox, "."), "@", ".")
	switch {
	case m == "":
		return "hostmaster." + z.Name
	case !strings.Contains(m, "."):
		return m + "." + z.Name
	}
	return m + "."
}

// newSOA makes a SOA. Its serial is the second of the last publish, which only
// grows; nobody transfers from us, so the other times are customary ones.
func newSOA(owner, ns, mbox string, pub *engine.Published, minimum time.Duration) dns.RR {
	min := uint32(minimum / time.Second)
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: min},
		Ns:  ns, Mbox: mbox, Serial: uint32(pub.At.Unix()),
		Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: min,
	}
}

// apex answers SOA and NS of a declared zone.
func (f *Failover) apex(ctx context.Context, q *query, z *config.Zone, t uint16) (int, error) {
	m := new(dns.Msg)
	f.start(m, q, true)
	m.Question = []dns.Question{q.r.Question[0]}
	if t == dns.TypeSOA || len(z.NS) == 0 {
		soa := zoneSOA(z, q.pub)
		if t == dns.TypeSOA {
			m.Answer = []dns.RR{soa}
		} else {
			m.Ns = []dns.RR{soa}
		}
		return q.send(m)
	}
	for _, ns := range z.NS {
		m.Answer = append(m.Answer, &dns.NS{
			Hdr: dns.RR_Header{Name: q.r.Question[0].Name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: apexTTL}, Ns: ns,
		})
		m.Extra = append(m.Extra, f.glue(ctx, q, z, ns)...)
	}
	return q.send(m)
}

// glue returns the addresses of a name server that lies in its zone: whoever asks for
// the zone's name servers cannot ask others for them (RFC 1034 section 4.2.1).
func (f *Failover) glue(ctx context.Context, q *query, z *config.Zone, ns string) (out []dns.RR) {
	if !dns.IsSubDomain(z.Name, ns) {
		return nil
	}
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if i, ours, _ := f.lookup(q.pub, ns); ours {
			d := q.decide(f, i, t == dns.TypeAAAA)
			out = append(out, f.addressRRs(q, i, &d, ns, d.TTL)...)
		} else if !f.alone(z.Name) {
			out = append(out, f.addressesBelow(ctx, ns, t)...)
		}
	}
	return out
}

// addressesBelow returns what the plugins below say of a name's own addresses.
func (f *Failover) addressesBelow(ctx context.Context, name string, t uint16) []dns.RR {
	m, err := askBelow(ctx, f.under(), name, t)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype != t || !strings.EqualFold(rr.Header().Name, name) })
}

// apexTTL is the lifetime of a zone's NS records, in seconds.
const apexTTL = 3600
