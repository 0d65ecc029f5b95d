package alerts

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// api is a name of somebody else, and the resolvers' upstream knows its addresses.
const api = "api.cloud.example."

// others is what can befall names of others that are guarded.
var others = []condition{
	{
		alert: "DetourGuardStandingIn", labels: "job: detour", guard: true,
		says:  "The DNS of 1 guarded names fails. They are answered with kept addresses, for a time.",
		cause: func(r *resolver) { r.w.upstream(); r.ask() },
		seen:  is("guard_standing_in", "1"),
	},
	{
		alert: "DetourGuardLost", labels: "job: detour", guard: true,
		says: "The DNS of 1 guarded names fails, and nothing that was kept stands in. Clients get the failure.",
		cause: func(r *resolver) {
			r.w.upstream()
			r.w.stop(r.w.near, "127.0.9.3")
			r.ask()
		},
		seen: is("guard_lost", "1"),
	},
	{
		alert: "DetourGuardRefused", labels: "job: detour, reason: change", guard: true,
		says: "The DNS of a guarded name leads to addresses that are not its own by their certificate. They are refused.",
		also: []string{"DetourGuardStandingIn"},
		cause: func(r *resolver) {
			r.w.upstream("127.99.0.1") // where nothing listens
			r.ask()
		},
		seen: func(_ *resolver, s scrape) bool { return s[prefix+`guard_refused_total{reason="change"}`] > "0" },
	},
}

// upstreams answers for api with the addresses that it was told last.
type upstreams struct {
	addr  string
	knows atomic.Pointer[[]string]
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
	m := new(dns.Msg)
	m.SetReply(r)
	ips := *u.knows.Load()
	if r.Question[0].Qtype != dns.TypeA || !strings.EqualFold(r.Question[0].Name, api) {
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
	return "    guard api.cloud.example {\n        on nodata change\n        proof tcp:" + w.near + "\n        allow_targets 127.0.0.0/8\n    }\n    forward . " + w.dns.addr + "\n"
}

// ask asks for api.
func (r *resolver) ask() {
	r.w.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(api, dns.TypeA)
	if _, _, err := (&dns.Client{Timeout: 5 * time.Second}).Exchange(m, r.dns); err != nil {
		r.w.t.Fatal(err)
	}
}

// learn asks for api until it proved itself.
func (r *resolver) learn() {
	r.w.t.Helper()
	r.ask()
	if err := kit.Every(50*time.Millisecond, time.Minute, func() bool {
		return r.scrape()[prefix+`guard_proofs_total{proof="proven"}`] == "1"
	}); err != nil {
		r.w.t.Fatal(err)
	}
}
