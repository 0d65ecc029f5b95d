package alerts

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// api is a name of somebody else, and the resolvers' upstream knows its addresses.
const api = "api.cloud.example."

// others is what can befall names of others that are guarded.
var others = []condition{
	{
		alert: "DetourGuardStandingIn", labels: "job: detour", guard: true,
		says:  "The DNS of 1 guarded names fails. They are answered with kept addresses, for a time.",
		cause: func(r *resolver) { r.w.upstream(); r.ask(api) },
		seen:  is("guard_standing_in", "1"),
	},
	{
		alert: "DetourGuardMany", labels: "job: detour", guard: true,
		says: "12 names that patterns guard fail at once. A provider's DNS is in trouble, or our own upstream.",
		also: []string{"DetourGuardStandingIn"},
		cause: func(r *resolver) {
			r.learnMany(12)
			r.w.upstream()
			for i := range 12 {
				r.ask(fmt.Sprintf("n%d.cloud.example.", i))
			}
		},
		seen: is("guard_found_standing_in", "12"),
	},
	{
		alert: "DetourGuardLost", labels: "job: detour", guard: true,
		says: "The DNS of 1 guarded names fails, and nothing that was kept stands in. Clients get the failure.",
		cause: func(r *resolver) {
			r.w.upstream()
			r.w.stop(r.w.near, "127.0.9.3")
			r.ask(api)
		},
		seen: is("guard_lost", "1"),
	},
	{
		alert: "DetourGuardRefused", labels: "job: detour, reason: change", guard: true,
		says: "The DNS of a guarded name leads to addresses that are not its own by their certificate. They are refused.",
		also: []string{"DetourGuardStandingIn"},
		cause: func(r *resolver) {
			r.w.upstream("127.99.0.1") // where nothing listens
			r.ask(api)
		},
		seen: func(_ *resolver, s scrape) bool { return s[prefix+`guard_refused_total{reason="change"}`] > "0" },
	},
	{
		alert: "DetourQuestionsRefused", labels: "job: detour, instance: a", guard: true, grows: []string{"questions_refused_total"},
		says: "Resolver a refuses questions for names that are no services: too many wait for upstreams, which are slow or silent.",
		cause: func(r *resolver) {
			r.w.dns.hangs.Store(true)
			for range 10 { // a busy machine loses most of one
				if r.storm(6000); r.scrape()[prefix+"questions_refused_total"] > "0" {
					return
				}
			}
		},
		seen: func(_ *resolver, s scrape) bool { return s[prefix+"questions_refused_total"] > "0" },
	},
}

// upstreams answers for api with the addresses that it was told last.
type upstreams struct {
	addr  string
	knows atomic.Pointer[[]string]
	hangs atomic.Bool
}

// upstream makes the resolvers' upstream know these addresses of api, or none.
func (w *world) upstream(ips ...string) {
	w.t.Helper()
	if w.dns == nil {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		w.dns = &upstreams{addr: c.LocalAddr().String()}
		s := &dns.Server{PacketConn: c, Handler: w.dns}
		go func() { _ = s.ActivateAndServe() }()
		w.t.Cleanup(func() { _ = s.Shutdown() })
	}
	w.dns.knows.Store(&ips)
}

// ServeDNS implements dns.Handler.
func (u *upstreams) ServeDNS(rw dns.ResponseWriter, r *dns.Msg) {
	if u.hangs.Load() {
		return
	}
	m := new(dns.Msg)
	m.SetReply(r)
	ips := *u.knows.Load()
	if r.Question[0].Qtype != dns.TypeA || !dns.IsSubDomain("cloud.example.", r.Question[0].Name) {
		ips = nil
	}
	for _, ip := range slices.Clone(ips) {
		m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(ip)})
	}
	if len(ips) == 0 {
		m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "cloud.example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 900}, Ns: "ns.", Mbox: "host.", Minttl: 900}}
	}
	_ = rw.WriteMsg(m)
}

// guards is the part of a Corefile that guards api. A connection to the machines
// behind it is proof enough.
func (w *world) guards() string {
	return "    guard api.cloud.example {\n        on nodata change\n        pattern *.cloud.example 100\n        proof tcp:" + w.near + "\n        allow_targets 127.0.0.0/8\n    }\n    forward . " + w.dns.addr + "\n"
}

// ask asks for a name.
func (r *resolver) ask(name string) {
	r.w.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	if _, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, r.dns); err != nil {
		r.w.t.Fatal(err)
	}
}

// storm asks for so many names at once, and waits for no answer.
func (r *resolver) storm(n int) {
	r.w.t.Helper()
	c, err := net.Dial("udp", r.dns)
	if err != nil {
		r.w.t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing is read from it
	for i := range n {
		m, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.else.example.", i), dns.TypeA).Pack()
		if err == nil {
			_, err = c.Write(m)
		}
		if err != nil {
			r.w.t.Fatal(err)
		}
		if i%100 == 99 { // no more than a socket's buffer holds
			<-time.After(5 * time.Millisecond)
		}
	}
}

// learn asks for api until it proved itself.
func (r *resolver) learn() {
	r.w.t.Helper()
	r.ask(api)
	r.proven(1)
}

// learnMany asks for names that the pattern covers until all proved themselves.
func (r *resolver) learnMany(n int) {
	r.w.t.Helper()
	for range 10 { // so often until a name is guarded
		for i := range n {
			r.ask(fmt.Sprintf("n%d.cloud.example.", i))
		}
	}
	r.proven(n + 1)
}

// proven waits until so many proofs were given.
func (r *resolver) proven(n int) {
	r.w.t.Helper()
	r.until("names proved themselves", func(s scrape) bool { return s[prefix+`guard_proofs_total{proof="proven"}`] == strconv.Itoa(n) })
}
