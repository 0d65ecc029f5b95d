package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// buffer is how many bytes of replies wait in the kernel for a client to take them.
const buffer = 128 << 10

// retry is how long nothing is accepted once the process may open no more files.
const retry = 5 * time.Millisecond

// places is a listener whose connections are bounded. Who asks for a place when all are
// taken gets that of the connection which is silent for longest, among those of the client
// that has most, as far as a sample shows. A connection ends, too, when a reply could not be written to it in time:
// what follows half a reply is none.
type places struct {
	net.Listener
	max    int           // 0 is no bound
	write  time.Duration // how long a client may take to make room for a reply; 0 is for ever
	server string

	mu     sync.Mutex
	taken  map[*conn]struct{}
	counts map[netip.Prefix]*int
}

func bound(l net.Listener, most int, write time.Duration, server string) *places {
	return &places{Listener: l, max: most, write: write, server: server, taken: map[*conn]struct{}{}, counts: map[netip.Prefix]*int{}}
}

// conn is a connection that has a place.
type conn struct {
	net.Conn
	of     *places
	client netip.Prefix
	count  *int         // connections of the client, under the mutex of places
	heard  atomic.Int64 // when it last sent something, Unix time in nanoseconds
}

func (p *places) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if err == nil {
			return p.seat(c), nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return nil, err
		}
		p.unseat(p.idlest())
		<-time.NewTimer(retry).C
	}
}

// seat gives a connection a place.
func (p *places) seat(c net.Conn) net.Conn {
	out := &conn{Conn: c, of: p, client: p.clientOf(c)}
	out.heard.Store(time.Now().UnixNano())
	if tcp, ok := c.(*net.TCPConn); ok && p.write > 0 {
		_ = tcp.SetWriteBuffer(buffer) // else a slow reader makes room in steps of megabytes, seconds apart
	}
	p.mu.Lock()
	full := p.max > 0 && len(p.taken) >= p.max
	p.mu.Unlock()
	if full {
		p.unseat(p.idlest())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if out.count = p.counts[out.client]; out.count == nil {
		out.count = new(int)
		p.counts[out.client] = out.count
	}
	*out.count++
	p.taken[out] = struct{}{}
	return out
}

// clientOf is whom a connection counts for: an IPv4 address or an IPv6 /64. All count as one
// behind a proxy, whose connections say who the client is only when they are read.
func (p *places) clientOf(c net.Conn) netip.Prefix {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return netip.Prefix{}
	}
	addr, ok := tcp.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	a := addr.AddrPort().Addr().Unmap()
	bits := 64
	if a.Is4() {
		bits = 32
	}
	out, _ := a.WithZone("").Prefix(bits)
	return out
}

// sample is among how many connections the one that must go is looked for: to look at all
// would cost so much for each that comes that who comes often enough keeps others out.
const sample = 64

// idlest is the connection that must go, nil if there is none. It is one of a sample, which
// hardly ever lacks a client that has many.
func (p *places) idlest() (out *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	looked := 0
	for c := range p.taken { // which begins anywhere
		if looked++; looked > sample {
			break
		}
		if out == nil || *c.count > *out.count || *c.count == *out.count && c.heard.Load() < out.heard.Load() {
			out = c
		}
	}
	return out
}

func (p *places) unseat(c *conn) {
	if c != nil {
		closed.WithLabelValues(p.server, "full").Inc()
		_ = c.Close()
	}
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Write ends the connection if the client takes nothing for as long as it may.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		if c.of.write > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(c.of.write))
		}
		took, err := c.Conn.Write(b[n:])
		if n += took; took == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, c.failed(err)
		}
	}
}

// failed closes the connection after an error: what follows half a message is none.
func (c *conn) failed(err error) error {
	if err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			closed.WithLabelValues(c.of.server, "unread").Inc()
		}
		_ = c.Close()
	}
	return err
}

// Close frees the place, once.
func (c *conn) Close() error {
	c.of.mu.Lock()
	if _, ok := c.of.taken[c]; ok {
		delete(c.of.taken, c)
		if *c.count--; *c.count == 0 {
			delete(c.of.counts, c.client)
		}
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// NetConn returns the connection below, in which CoreDNS looks for what a proxy said.
func (c *conn) NetConn() net.Conn { return c.Conn }
