package transport

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// size is the longest message in octets that is read over UDP, and so what the OPT records
// of replies say (RFC 6891 section 6.2.3): what passes every network in one piece (DNS flag
// day 2020).
const size = 1232

// flagDO is the one flag of an OPT record that means something here (RFC 3225 section 3).
const flagDO = 0x8000

// admit answers a message that breaks a rule, or passes it on without what has no meaning,
// with a writer that makes the OPT record of the reply the server's own.
func admit(server string, w dns.ResponseWriter, r *dns.Msg, next func(dns.ResponseWriter, *dns.Msg)) {
	for _, rr := range r.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			o.Hdr.Ttl &^= 0xffff &^ flagDO // flags are for the next hop only (RFC 6891 section 6.1.4)
		}
	}
	if len(r.Extra) > 0 {
		w = &writer{w}
	}
	if len(r.Question) == 0 || Malformed(r) {
		refuse(server, w, r)
		return
	}
	next(w, r)
}

// refuse answers FORMERR, and counts as CoreDNS does what reaches no plugin.
func refuse(server string, w dns.ResponseWriter, r *dns.Msg) {
	m := new(dns.Msg).SetRcode(r, dns.RcodeFormatError)
	if len(r.Question) > 0 {
		vars.Report(server, request.Request{W: w, Req: r}, vars.Dropped, "", "FORMERR", "", m.Len(), time.Now())
	}
	_ = w.WriteMsg(m)
}

// writer corrects the OPT record of a reply. CoreDNS repeats the size that the client takes,
// and eight of its flags.
type writer struct{ dns.ResponseWriter }

func (w *writer) WriteMsg(m *dns.Msg) error {
	for i, rr := range m.Extra {
		if o, ok := rr.(*dns.OPT); ok {
			own := *o // which may be the question's
			own.SetUDPSize(size)
			own.Hdr.Ttl &^= 0xffff &^ flagDO
			m.Extra[i] = &own
		}
	}
	return w.ResponseWriter.WriteMsg(m)
}

// ConnectionState returns that of the client's TLS connection, nil without one.
func (w *writer) ConnectionState() *tls.ConnectionState {
	if s, ok := w.ResponseWriter.(dns.ConnectionStater); ok {
		return s.ConnectionState()
	}
	return nil
}

// checked is a block's plugins behind the rules for messages.
type checked struct {
	plugin.Handler
	server string
}

func (c checked) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (rcode int, err error) {
	admit(c.server, w, r, func(w dns.ResponseWriter, r *dns.Msg) { rcode, err = c.Handler.ServeDNS(ctx, w, r) })
	return rcode, err
}
