package prober

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"syscall"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/detour-dns/detour/internal/health"
)

// icmpKind passes when an echo request is answered.
type icmpKind struct{ d *dialer }

func newICMP(_ Spec, d *dialer) (kind, error) { return &icmpKind{d: d}, nil }

func (p *icmpKind) try(ctx context.Context, a *attempt) outcome {
	to := a.target.Addr.Unmap()
	sock, raw, err := pingConn(to)
	if err != nil {
		return p.broken(err, a)
	}
	c := newConn(ctx, sock)
	defer func() { _ = c.Close() }()
	e := newEcho(to.Is6(), raw)
	b, err := e.marshal()
	if err != nil {
		return a.end(health.CauseProtocol, innermost(err))
	}
	if _, err := c.Write(b); err != nil {
		return p.broken(err, a)
	}
	for buf := make([]byte, 1500); ; {
		n, err := c.Read(buf)
		if err != nil {
			return p.broken(err, a)
		}
		if e.answeredBy(buf[:n]) {
			a.mark("reply")
			return a.end(health.CauseNone, "")
		}
	}
}

func (p *icmpKind) broken(err error, a *attempt) outcome {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EPROTONOSUPPORT) {
		return a.end(health.CausePermission, "icmp needs net.ipv4.ping_group_range or CAP_NET_RAW")
	}
	cause, detail := p.d.explain(err, a.target.Addr.Unmap())
	if cause == health.CauseTimeout {
		detail = "no reply"
	}
	if cause == health.CauseRefused { // no port was asked for
		cause = health.CauseUnreachable
	}
	return a.end(cause, detail)
}

// echo is one echo request.
type echo struct {
	v6, raw bool
	id, seq int
	data    []byte
}

func newEcho(v6, raw bool) *echo {
	e := &echo{v6: v6, raw: raw, data: make([]byte, 20)}
	_, _ = rand.Read(e.data)
	e.id = int(e.data[0])<<8 | int(e.data[1])
	e.seq = int(e.data[2])<<8 | int(e.data[3])
	return e
}

func (e *echo) marshal() ([]byte, error) {
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: e.id, Seq: e.seq, Data: e.data}}
	if e.v6 {
		m.Type = ipv6.ICMPTypeEchoRequest
	}
	// The system fills in the checksum of version 6.
	return m.Marshal(nil)
}

// answeredBy reports whether a packet is the reply. The identifier is not looked
// at: the system may have put in its own. The data is what nobody can guess.
func (e *echo) answeredBy(b []byte) bool {
	proto, want := 1, icmp.Type(ipv4.ICMPTypeEchoReply)
	if e.v6 {
		proto, want = 58, ipv6.ICMPTypeEchoReply
	} else if e.raw {
		b = pastHeader(b)
	}
	m, err := icmp.ParseMessage(proto, b)
	if err != nil || m.Type != want {
		return false
	}
	reply, ok := m.Body.(*icmp.Echo)
	return ok && reply.Seq == e.seq && bytes.Equal(reply.Data, e.data)
}

// pastHeader returns what follows the IPv4 header that raw sockets show.
func pastHeader(b []byte) []byte {
	if len(b) < 20 {
		return nil
	}
	return b[min(int(b[0]&15)*4, len(b)):]
}
