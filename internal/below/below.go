// Package below puts questions of our own to the plugins below one, not at a
// client's request: names of endpoints, and names that are known to fail.
package below

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// Ask asks the chain that begins at next as a client over UDP does, and again as
// one over TCP if the reply was cut short: `forward` asks its upstreams by the
// transport of its client. The error is that of the chain, or says that it panicked
// or wrote nothing; a reply of any kind is none.
func Ask(ctx context.Context, next plugin.Handler, r *dns.Msg) (*dns.Msg, error) {
	m, err := ask(ctx, next, r.Copy(), &net.UDPAddr{IP: loopback, Port: clientPort})
	if err == nil && m.Truncated {
		return ask(ctx, next, r, &net.TCPAddr{IP: loopback, Port: clientPort})
	}
	return m, err
}

// AskAll asks all blocks of a server, as a client of it would that wants nothing which
// stands in: for names that lie in another block than the one that asks.
func AskAll(ctx context.Context, s *dnsserver.Server, r *dns.Msg) (*dns.Msg, error) {
	whole := plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		NoteOf(ctx).Truth = true
		s.ServeDNS(context.WithValue(ctx, dnsserver.Key{}, s), w, r)
		return dns.RcodeSuccess, nil
	})
	return Ask(ctx, whole, r)
}

// clientPort is what our questions seem to come from.
const clientPort = 40212

var loopback = net.IPv4(127, 0, 0, 1)

func ask(ctx context.Context, next plugin.Handler, r *dns.Msg, from net.Addr) (_ *dns.Msg, err error) {
	defer func() { // the server catches this for queries; on our goroutines nobody does
		if p := recover(); p != nil {
			err = fmt.Errorf("a plugin below panicked: %v", p)
		}
	}()
	w := &catcher{from: from}
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
	ctx = WithNote(ctx, &Note{Own: true})
	if _, err := next.ServeDNS(ctx, w, r); err != nil {
		return nil, err
	}
	if w.msg == nil {
		return nil, errors.New("no reply")
	}
	return w.msg, nil
}

// Question makes a question of our own. Replies over UDP have 1232 bytes.
func Question(name string, qtype uint16, do bool) *dns.Msg {
	r := new(dns.Msg)
	r.SetQuestion(name, qtype)
	r.SetEdns0(1232, do)
	return r
}

// catcher is the writer of our own questions.
type catcher struct {
	from net.Addr
	msg  *dns.Msg
}

func (c *catcher) WriteMsg(m *dns.Msg) error { c.msg = m; return nil }

func (c *catcher) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return 0, err
	}
	c.msg = m
	return len(b), nil
}

func (c *catcher) LocalAddr() net.Addr  { return c.from }
func (c *catcher) RemoteAddr() net.Addr { return c.from }
func (c *catcher) Close() error         { return nil }
func (c *catcher) TsigStatus() error    { return nil }
func (c *catcher) TsigTimersOnly(bool)  {}
func (c *catcher) Hijack()              {}
