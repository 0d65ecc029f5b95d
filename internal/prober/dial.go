package prober

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// control looks at a socket before it connects.
type control = func(network, address string, c syscall.RawConn) error

// dialer opens connections for one prober.
type dialer struct {
	dial  func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)
	route func(netip.Addr) error // whether this machine would know where to send a packet
	roots *x509.CertPool
	plain bool // nobody looks at the sockets: tcp may use bare ones
}

func newDialer(env Env) *dialer {
	d := &dialer{dial: env.Dial, route: routed, roots: env.Roots, plain: env.Dial == nil && env.Control == nil}
	if d.dial == nil {
		// KeepAlive -1: two system calls less, and no probe lives that long.
		stream := &net.Dialer{KeepAlive: -1, Control: env.Control}
		datagram := &net.Dialer{Control: hearAll(env.Control)}
		d.dial = func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			if network == "udp" {
				return datagram.DialContext(ctx, network, to.String())
			}
			return stream.DialContext(ctx, network, to.String())
		}
	}
	return d
}

// routed asks the routing table about an address: connecting a UDP socket looks
// up route and source, and sends nothing.
func routed(a netip.Addr) error {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return err
	}
	return c.Close()
}

// open connects to the attempt's target. The connection's reads and writes end
// when ctx does; stop it before Close.
func (d *dialer) open(ctx context.Context, network string, a *attempt) (*conn, outcome) {
	c, err := d.dial(ctx, network, a.target.addrPort())
	if err != nil {
		return nil, a.end(d.explain(err, a.target.Addr))
	}
	if network == "tcp" {
		a.mark("dial")
	}
	return newConn(ctx, c), outcome{}
}

// explain tells what a failed connect means. "Unreachable" is our fault if our
// own routing table says so, and the path's if a router answered; "no address"
// is no source address, or no free port.
func (d *dialer) explain(err error, to netip.Addr) (health.Cause, string) {
	cause, detail := classify(err, health.CausePermission)
	if cause == health.CauseTimeout {
		return cause, "no answer to connect"
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) && d.route(to) == nil {
		return health.CausePorts, "no free local port"
	}
	if cause == health.CauseUnreachable && d.route(to) != nil {
		return health.CauseNoRoute, "no local route: " + detail
	}
	return cause, detail
}

// conn is a connection that ends with its probe.
type conn struct {
	net.Conn
	stop func() bool
}

func newConn(ctx context.Context, c net.Conn) *conn {
	if t, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(t)
	}
	return &conn{Conn: c, stop: context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })}
}

// Close closes the connection.
func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// abort closes a TCP connection with a reset: nothing stays behind in
// TIME_WAIT, so checks cannot use up the local ports.
func (c *conn) abort() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
