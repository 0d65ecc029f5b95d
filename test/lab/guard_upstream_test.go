package lab

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// reply is what an upstream says to r, the n-th question of its kind by the same
// asker. No message is silence.
type reply func(r *dns.Msg, n int) *dns.Msg

// question is what a reply is for. Server "" means every upstream, type 0 every
// type of the name.
type question struct {
	server, name string
	qtype        uint16
}

// upstreams are recursive resolvers as the resolvers under test see them. Some
// may lie about a name while the others do not. Safe for concurrent use.
type upstreams struct {
	mu    sync.Mutex
	says  map[question]reply
	asked map[asker]int
}

// asker is who asked for what, and of whom.
type asker struct {
	question
	ip string
}

func newUpstreams() *upstreams {
	return &upstreams{says: map[question]reply{}, asked: map[asker]int{}}
}

// set changes what is said, all of it at once. A nil reply takes back what was set
// for exactly this question.
func (u *upstreams) set(says map[question]reply) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for q, f := range says {
		q.name = dns.CanonicalName(q.name)
		if f == nil {
			delete(u.says, q)
			continue
		}
		u.says[q] = f
	}
}

// name sets what every upstream says of a name, whatever the type.
func (u *upstreams) name(name string, f reply) { u.set(map[question]reply{{name: name}: f}) }

// times is how often an address asked, of all upstreams.
func (u *upstreams) times(ip, name string, qtype uint16) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for who, k := range u.asked {
		if who.ip == ip && who.name == dns.CanonicalName(name) && who.qtype == qtype {
			n += k
		}
	}
	return n
}

// find returns the closest thing to say, and how often the same asker has asked
// before.
func (u *upstreams) find(server, from string, q dns.Question) (reply, int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	exact := question{server, dns.CanonicalName(q.Name), q.Qtype}
	n := u.asked[asker{exact, from}]
	u.asked[asker{exact, from}] = n + 1
	for _, k := range []question{exact, {server, exact.name, 0}, {"", exact.name, q.Qtype}, {"", exact.name, 0}} {
		if f := u.says[k]; f != nil {
			return f, n
		}
	}
	if exact.name == "." { // the forwarders' health check
		return nodata("."), n
	}
	return nxdomain("."), n
}

// serve answers on an address of a place, over UDP and TCP, until the test ends.
func (u *upstreams) serve(l *lab, place, ip string) {
	l.t.Helper()
	addr := net.JoinHostPort(ip, "53")
	var pc net.PacketConn
	err := l.inside(place, func() (err error) {
		pc, err = net.ListenPacket("udp", addr)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	h := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		from, _, _ := net.SplitHostPort(w.RemoteAddr().String())
		f, n := u.find(ip, from, r.Question[0])
		if m := f(r, n); m != nil {
			_ = w.WriteMsg(m)
		}
	})
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l.listenIn(place, addr), Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		l.t.Cleanup(func() { _ = s.Shutdown() })
	}
}

// said is an empty reply of a recursive resolver.
func said(r *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg).SetRcode(r, rcode)
	m.RecursionAvailable = true
	if r.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	return m
}

func head(name string, t uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}

// addressesOf are the records of a name for the addresses of the asked family.
func addressesOf(name string, qtype uint16, ttl uint32, ips []string) (out []dns.RR) {
	for _, s := range ips {
		ip := net.ParseIP(s)
		switch v4 := ip.To4() != nil; {
		case v4 && qtype == dns.TypeA:
			out = append(out, &dns.A{Hdr: head(name, qtype, ttl), A: ip})
		case !v4 && qtype == dns.TypeAAAA:
			out = append(out, &dns.AAAA{Hdr: head(name, qtype, ttl), AAAA: ip})
		}
	}
	return out
}

// addresses answers with all addresses of the asked family, or with NODATA.
func addresses(ttl uint32, ips ...string) reply {
	return func(r *dns.Msg, n int) *dns.Msg {
		m, q := said(r, dns.RcodeSuccess), r.Question[0]
		m.Answer = addressesOf(q.Name, q.Qtype, ttl, ips)
		if len(m.Answer) == 0 {
			return nodata(parent(q.Name))(r, n)
		}
		return m
	}
}

// rotating answers with the next few addresses of a pool each time.
func rotating(ttl uint32, few int, pool ...string) reply {
	return func(r *dns.Msg, n int) *dns.Msg {
		turned := slices.Concat(pool, pool)
		at := n * few % len(pool)
		return addresses(ttl, turned[at:at+few]...)(r, n)
	}
}

// chained puts a CNAME to target before what is said of it.
func chained(ttl uint32, target string, f reply) reply {
	return func(r *dns.Msg, n int) *dns.Msg {
		below := r.Copy()
		below.Question[0].Name = dns.Fqdn(target)
		m := f(below, n)
		if m == nil {
			return nil
		}
		m.Question = r.Question
		link := &dns.CNAME{Hdr: head(r.Question[0].Name, dns.TypeCNAME, ttl), Target: dns.Fqdn(target)}
		m.Answer = append([]dns.RR{link}, m.Answer...)
		return m
	}
}

// soa is what makes a negative answer last a quarter of an hour.
func soa(zone string) dns.RR {
	return &dns.SOA{
		Hdr: head(zone, dns.TypeSOA, 900), Ns: "ns.invalid.", Mbox: "hostmaster.invalid.",
		Serial: 1, Refresh: 7200, Retry: 900, Expire: 1209600, Minttl: 900,
	}
}

// parent is the zone above a name.
func parent(name string) string {
	labels := dns.SplitDomainName(name)
	return dns.Fqdn(strings.Join(labels[min(1, len(labels)):], "."))
}

func nodata(zone string) reply {
	return func(r *dns.Msg, _ int) *dns.Msg {
		m := said(r, dns.RcodeSuccess)
		m.Ns = []dns.RR{soa(zone)}
		return m
	}
}

// nxdomain denies the name, as the zone above it would.
func nxdomain(zone string) reply {
	return func(r *dns.Msg, _ int) *dns.Msg {
		m := said(r, dns.RcodeNameError)
		m.Ns = []dns.RR{soa(zone)}
		return m
	}
}

// servfail fails, with an extended error if one is given.
func servfail(code ...uint16) reply {
	return func(r *dns.Msg, _ int) *dns.Msg {
		m := said(r, dns.RcodeServerFailure)
		if opt := m.IsEdns0(); opt != nil && len(code) > 0 {
			opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code[0]})
		}
		return m
	}
}

func silence(*dns.Msg, int) *dns.Msg { return nil }

// alternating lies every second time.
func alternating(lie, truth reply) reply {
	return func(r *dns.Msg, n int) *dns.Msg {
		if n%2 == 0 {
			return lie(r, n)
		}
		return truth(r, n)
	}
}

// TestTheUpstream: what the scenarios rest on says what they say it says.
func TestTheUpstream(t *testing.T) {
	u, name := newUpstreams(), "api.cloud.example."
	ask := func(server string, qtype uint16) *dns.Msg {
		r := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, false)
		f, n := u.find(server, "10.0.0.9", r.Question[0])
		return f(r, n)
	}
	u.name(name, chained(5, "edge.example", rotating(5, 2, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")))
	first, second := ask("", dns.TypeA), ask("", dns.TypeA)
	if len(first.Answer) != 3 || first.Answer[0].Header().Rrtype != dns.TypeCNAME || first.Answer[1].(*dns.A).A.Equal(second.Answer[1].(*dns.A).A) {
		t.Errorf("no chain, or no rotation:\n%v\n%v", first, second)
	}
	if m := ask("", dns.TypeAAAA); m.Rcode != dns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("no NODATA for the other family:\n%v", m)
	}
	u.set(map[question]reply{{name: name}: addresses(5, "192.0.2.1"), {"10.0.0.3", name, 0}: alternating(nxdomain("example."), addresses(5, "192.0.2.1"))})
	if a, b, c := ask("10.0.0.2", dns.TypeA), ask("10.0.0.3", dns.TypeA), ask("10.0.0.3", dns.TypeA); len(a.Answer) != 1 || b.Rcode != dns.RcodeNameError || len(c.Answer) != 1 {
		t.Errorf("not one server, and not every second time:\n%v\n%v\n%v", a, b, c)
	}
	u.name(name, servfail(dns.ExtendedErrorCodeDNSBogus))
	if m := ask("", dns.TypeA); len(m.IsEdns0().Option) != 1 || m.Rcode != dns.RcodeServerFailure {
		t.Errorf("no extended error:\n%v", m)
	}
	if n := u.times("10.0.0.9", name, dns.TypeA); n != 6 {
		t.Errorf("counted %d questions, want 6", n)
	}
}
