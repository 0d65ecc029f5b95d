package lab

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// What a client saw in a second.
const (
	sawGood     = 'G' // addresses, all of them good now
	sawNegative = 'N' // NODATA or NXDOMAIN
	sawFailure  = 'F' // SERVFAIL, or any other error
	sawTimeout  = 'T' // no reply within patience
	sawHijack   = 'H' // an address of the hijacker
	sawStale    = 'S' // an address that is not good any more
)

// patience of a client: a stub resolver's first try.
const patience = 2 * time.Second

// fact is what is true about a name, whatever anybody answers.
type fact struct {
	good, hijacked map[string]bool
}

func setOf(ips []string) map[string]bool {
	out := make(map[string]bool, len(ips))
	for _, ip := range ips {
		out[ip] = true
	}
	return out
}

// saw is the outcome of one second's question.
type saw struct {
	letter byte
	msg    *dns.Msg // nil without a reply
	took   time.Duration
}

// diary is what one client saw of one name at one resolver, a question a second.
type diary struct {
	mu      sync.Mutex
	seconds []saw
	sent    []time.Time
}

// stub asks for one name at one resolver, a question a second.
type stub struct {
	name  string
	qtype uint16
	fact  func() fact
	diary
}

// ask sends the question of second k.
// run asks a question a second, the first at a given time, and returns when the
// last may no longer be answered.
func (r *stub) run(c net.Conn, first time.Time, seconds int) {
	conn := &dns.Conn{Conn: c}
	go r.listen(conn)
	for k := range seconds {
		<-time.After(time.Until(first.Add(time.Duration(k) * time.Second)))
		r.ask(conn, k)
	}
	<-time.After(patience)
	_ = c.Close()
}

func (r *stub) ask(c *dns.Conn, k int) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(r.name), r.qtype).SetEdns0(1232, false)
	m.Id = uint16(k) // #nosec G115 -- a test has fewer seconds
	r.mu.Lock()
	r.seconds = append(r.seconds, saw{letter: sawTimeout})
	r.sent = append(r.sent, time.Now())
	r.mu.Unlock()
	_ = c.WriteMsg(m) // a refused one will not be replied to either
}

// listen writes down replies until the socket is closed.
func (r *stub) listen(c *dns.Conn) {
	for {
		m, err := c.ReadMsg()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if m == nil || err != nil {
			continue // the resolver's port was closed for a moment
		}
		r.note(m, r.fact(), time.Now())
	}
}

func (r *stub) note(m *dns.Msg, f fact, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := int(m.Id)
	if k >= len(r.seconds) || r.seconds[k].msg != nil || now.Sub(r.sent[k]) > patience {
		return
	}
	r.seconds[k] = saw{letter: letter(m, r.qtype, f), msg: m, took: now.Sub(r.sent[k])}
}

// letter tells what a reply is worth to a client.
func letter(m *dns.Msg, qtype uint16, f fact) byte {
	ips := given(m, qtype)
	switch {
	case m.Rcode == dns.RcodeNameError, m.Rcode == dns.RcodeSuccess && len(ips) == 0:
		return sawNegative
	case m.Rcode != dns.RcodeSuccess:
		return sawFailure
	}
	out := byte(sawGood)
	for _, ip := range ips {
		if f.hijacked[ip] {
			return sawHijack
		}
		if !f.good[ip] {
			out = sawStale
		}
	}
	return out
}

// given are the addresses in a reply.
func given(m *dns.Msg, qtype uint16) (ips []string) {
	for _, rr := range m.Answer {
		switch a := rr.(type) {
		case *dns.A:
			if qtype == dns.TypeA {
				ips = append(ips, a.A.String())
			}
		case *dns.AAAA:
			if qtype == dns.TypeAAAA {
				ips = append(ips, a.AAAA.String())
			}
		}
	}
	return ips
}

// letters is the whole diary, a letter a second.
func (d *diary) letters() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, s := range d.seconds {
		b.WriteByte(s.letter)
	}
	return b.String()
}

// short is a string of letters, run-length compressed: G20 N3 G7.
func short(letters string) string {
	var out []string
	for len(letters) > 0 {
		n := len(letters) - len(strings.TrimLeft(letters, letters[:1]))
		out = append(out, fmt.Sprint(letters[:1], n))
		letters = letters[n:]
	}
	return strings.Join(out, " ")
}

// ede are the extended errors of a reply.
func ede(m *dns.Msg) (codes []uint16) {
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			codes = append(codes, e.InfoCode)
		}
	}
	return codes
}

// misshapen says what is wrong with the shape of a reply, whatever it says.
func misshapen(m *dns.Msg, name string, qtype uint16) string {
	if len(m.Question) != 1 || m.Question[0].Name != dns.Fqdn(name) || m.Question[0].Qtype != qtype {
		return "the question is not the client's"
	}
	if !m.Response || m.Authoritative || m.AuthenticatedData || m.Truncated {
		return "AA, AD or TC, or not QR"
	}
	if m.IsEdns0() == nil {
		return "no OPT"
	}
	at, ttls := dns.CanonicalName(name), map[uint16]uint32{}
	for _, rr := range m.Answer {
		h := rr.Header()
		if dns.CanonicalName(h.Name) != at {
			return "a record of " + h.Name + " where " + at + " is next"
		}
		if ttl, seen := ttls[h.Rrtype]; seen && ttl != h.Ttl && h.Rrtype != dns.TypeCNAME {
			return "two TTLs in one set"
		}
		ttls[h.Rrtype] = h.Ttl
		if c, ok := rr.(*dns.CNAME); ok {
			at = dns.CanonicalName(c.Target)
		}
	}
	return ""
}
