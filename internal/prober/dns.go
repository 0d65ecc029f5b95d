package prober

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/health"
)

// udpSize is the largest reply asked for over UDP (DNS flag day 2020).
const udpSize = 1232

// dnsKind passes when a query gets the expected response code and answer. Over
// UDP a truncated reply is asked for again over TCP.
type dnsKind struct {
	d     *dialer
	s     *secure // nil = UDP, else DNS over TLS
	owner string  // "" = the target's host
	qtype uint16
	rcode int
	want  []string // normal form
}

func newDNS(s Spec, d *dialer) (kind, error) {
	p := &dnsKind{d: d, qtype: dns.TypeA, rcode: dns.RcodeSuccess}
	if err := p.parse(s); err != nil {
		return nil, err
	}
	for _, w := range s.Expect.Answer {
		p.want = append(p.want, p.rdata(w))
	}
	if !s.UseTLS {
		return p, nil
	}
	var err error
	p.s, err = newSecure(s, d, "dot")
	return p, err
}

// parse reads the question and the expected code.
func (p *dnsKind) parse(s Spec) error {
	var ok bool
	if s.QueryType != "" {
		if p.qtype, ok = dns.StringToType[strings.ToUpper(s.QueryType)]; !ok {
			return fmt.Errorf("query type %q: no such record type; use a name such as A, AAAA, SOA", s.QueryType)
		}
	}
	if s.Expect.Rcode != "" {
		if p.rcode, ok = dns.StringToRcode[strings.ToUpper(s.Expect.Rcode)]; !ok {
			return fmt.Errorf("expect.rcode %q: no such code; use a name such as NOERROR, NXDOMAIN", s.Expect.Rcode)
		}
	}
	if s.QueryName == "" {
		return nil
	}
	p.owner = dns.Fqdn(s.QueryName)
	if _, ok := dns.IsDomainName(p.owner); !ok {
		return fmt.Errorf("query name %q: not a domain name", s.QueryName)
	}
	return nil
}

func (p *dnsKind) try(ctx context.Context, a *attempt) outcome {
	if p.s != nil {
		return p.overTLS(ctx, a)
	}
	o, truncated := p.over(ctx, "udp", a)
	if truncated {
		o, _ = p.over(ctx, "tcp", a)
	}
	return o
}

func (p *dnsKind) over(ctx context.Context, network string, a *attempt) (o outcome, truncated bool) {
	c, o := p.d.open(ctx, network, a)
	if c == nil {
		return o, false
	}
	defer c.abort()
	size := uint16(0)
	if network == "udp" {
		size = udpSize
	}
	return p.ask(&dns.Conn{Conn: c.Conn, UDPSize: size}, a)
}

func (p *dnsKind) overTLS(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	defer c.abort()
	tc, o := p.s.shake(c, a)
	if tc == nil {
		return o
	}
	o, _ = p.ask(&dns.Conn{Conn: tc}, a)
	o.expiry = expiry(tc.ConnectionState().PeerCertificates)
	return o
}

// query returns a fresh question for a target.
func (p *dnsKind) query(t Target) *dns.Msg {
	owner := p.owner
	if owner == "" {
		owner = dns.Fqdn(t.Host)
	}
	q := new(dns.Msg).SetQuestion(owner, p.qtype)
	var id [2]byte
	_, _ = rand.Read(id[:])
	q.Id = binary.BigEndian.Uint16(id[:])
	return q.SetEdns0(udpSize, false)
}

// ask sends one query and judges the reply to it.
func (p *dnsKind) ask(c *dns.Conn, a *attempt) (o outcome, truncated bool) {
	q := p.query(a.target)
	if err := c.WriteMsg(q); err != nil {
		return p.broken(err, a), false
	}
	for {
		reply, err := p.read(c, q)
		if err != nil {
			return p.broken(err, a), false
		}
		if reply == nil {
			continue
		}
		a.mark("reply")
		if reply.Truncated && c.UDPSize > 0 {
			return outcome{}, true
		}
		return p.judge(reply, a), false
	}
}

var errNotDNS = errors.New("not a DNS message")

// read returns the next message if it answers q. It returns nil for what does
// not: late replies and forged ones are no answer.
func (p *dnsKind) read(c *dns.Conn, q *dns.Msg) (*dns.Msg, error) {
	var h dns.Header
	b, err := c.ReadMsgHeader(&h)
	if errors.Is(err, dns.ErrShortRead) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if h.Id != q.Id || h.Bits&qrBit == 0 {
		return nil, nil
	}
	m := new(dns.Msg)
	if m.Unpack(b) != nil {
		return nil, errNotDNS
	}
	// An error reply may come without a question.
	if len(m.Question) > 0 && !sameQuestion(m.Question[0], q.Question[0]) {
		return nil, nil
	}
	return m, nil
}

const qrBit = 1 << 15

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

func (p *dnsKind) broken(err error, a *attempt) outcome {
	cause, detail := classify(err, health.CauseProtocol)
	if cause == health.CauseTimeout {
		detail = "no reply"
	}
	return a.end(cause, detail)
}

// judge compares a reply with what is expected.
func (p *dnsKind) judge(m *dns.Msg, a *attempt) outcome {
	if m.Rcode != p.rcode {
		return a.end(health.CauseRcode, dns.RcodeToString[m.Rcode])
	}
	found := len(p.want) == 0 || slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		return rr.Header().Rrtype == p.qtype && slices.Contains(p.want, p.rdata(strings.TrimPrefix(rr.String(), rr.Header().String())))
	})
	if !found {
		return a.end(health.CauseAnswer, fmt.Sprintf("none of the expected records in %d", len(m.Answer)))
	}
	return a.end(health.CauseNone, "")
}

// rdata brings a record's data into the form in which it is compared. The text
// of TXT records is kept as it is, all else is made of names and numbers.
func (p *dnsKind) rdata(s string) string {
	s = strings.TrimSpace(s)
	if p.qtype == dns.TypeTXT {
		return strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`)
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(strings.Join(strings.Fields(s), " "), "."))
}
