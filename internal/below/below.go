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

// Ask asks the chain that begins at next. The error is that of the chain, or
// says that it panicked or wrote nothing; a reply of any kind is none.
func Ask(ctx context.Context, next plugin.Handler, r *dns.Msg) (_ *dns.Msg, err error) {
	defer func() { // the server catches this for queries; on our goroutines nobody does
		if p := recover(); p != nil {
			err = fmt.Errorf("a plugin below panicked: %v", p)
		}
	}()
	w := &catcher{}
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
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

// catcher is the writer of our own questions. It stands for a client over TCP,
// so that nothing is truncated for it.
type catcher struct{ msg *dns.Msg }

func (c *catcher) WriteMsg(m *dns.Msg) error { c.msg = m; return nil }

func (c *catcher) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return 0, err
	}
	c.msg = m
	return len(b), nil
}

func (c *catcher) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53} }

func (c *catcher) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40212} }
func (c *catcher) Close() error         { return nil }
func (c *catcher) TsigStatus() error    { return nil }
func (c *catcher) TsigTimersOnly(bool)  {}
func (c *catcher) Hijack()              {}
