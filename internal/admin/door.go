package admin

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// grace is how long a connection may say nothing though others want its place: as
// long as whoever has something to say needs to say it. It also bounds what it
// costs us when those that are let go come back at once.
const grace = 200 * time.Millisecond

// limit bounds the connections that are open at once. When all places are taken,
// who has been quiet for longest makes room for who comes: otherwise a few that
// never ask anything would keep out all others. Who asked is never let go; while
// all have asked, more wait in the system's queue, and whoever is answered meanwhile
// gives its place back.
func limit(l net.Listener, n int) *limited {
	return &limited{Listener: l, most: n, conns: map[*slotted]struct{}{}, freed: make(chan struct{}, 1), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	most   int
	freed  chan struct{} // a place was given back since somebody looked
	wanted atomic.Bool   // somebody waits for a place
	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	conns map[*slotted]struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := &slotted{Conn: c, in: l}
	defer l.wanted.Store(false)
	for !l.enter(s) {
		l.wanted.Store(true)
		if !l.makeRoom() {
			_ = c.Close()
			return nil, net.ErrClosed
		}
	}
	return s, nil
}

// enter gives a connection a place, if there is one.
func (l *limited) enter(s *slotted) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.most {
		return false
	}
	s.quiet = time.Now()
	l.conns[s] = struct{}{}
	return true
}

// makeRoom lets the one go that has been quiet for longest, or waits until there is
// one, or a place. It returns false when the listener is closed.
func (l *limited) makeRoom() bool {
	s, wait := l.quietest(time.Now())
	if s != nil {
		_ = s.Close()
		return true
	}
	again := time.NewTimer(wait)
	defer again.Stop()
	select {
	case <-l.freed:
	case <-again.C:
	case <-l.closed:
		return false
	}
	return true
}

// quietest returns who has been quiet for longest, if that is too long, else when
// to look again.
func (l *limited) quietest(now time.Time) (found *slotted, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.conns {
		if !s.quiet.IsZero() && (found == nil || s.quiet.Before(found.quiet)) {
			found = s
		}
	}
	if found == nil {
		return nil, grace // somebody may be quiet by then
	}
	if left := grace - now.Sub(found.quiet); left > 0 {
		return nil, left
	}
	return found, 0
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// slotted is a connection that counts.
type slotted struct {
	net.Conn
	in    *limited
	quiet time.Time // since when the peer is waited for, to ask or to read; zero: its answer is being made
}

// hush notes whether the peer is waited for.
func (c *slotted) hush(quiet bool) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.quiet = time.Time{}
	if quiet {
		c.quiet = time.Now()
	}
}

// Write implements net.Conn. While a reply is written its peer is waited for: one that
// does not read takes nobody's place.
func (c *slotted) Write(p []byte) (int, error) {
	c.hush(true)
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *slotted) Close() error {
	c.in.mu.Lock()
	delete(c.in.conns, c)
	c.in.mu.Unlock()
	select {
	case c.in.freed <- struct{}{}:
	default:
	}
	return c.Conn.Close()
}

// CloseWrite lets a peer read to the end what it is told before it is cut off.
func (c *slotted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// NetConn returns the connection below, as tls.Conn does.
func (c *slotted) NetConn() net.Conn { return c.Conn }

// placeOf returns the place that a connection takes, nil if it takes none.
func placeOf(c net.Conn) *slotted {
	for {
		if s, ok := c.(*slotted); ok {
			return s
		}
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = below.NetConn()
	}
}

// connState notes when a whole header was read, and when its request is answered.
func connState(c net.Conn, state http.ConnState) {
	s := placeOf(c)
	switch {
	case s == nil:
	case state == http.StateActive:
		s.hush(false)
	case state == http.StateIdle:
		s.hush(true)
	}
}

// inTurn has the connections of those that are answered end while others wait for a
// place: who asks again and again would keep it for ever.
func (l *limited) inTurn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.wanted.Load() {
			w.Header().Set("Connection", "close")
		}
		r.Body = awaited(r) // also of what is refused unread: the end of its body is waited for
		next.ServeHTTP(w, r)
	})
}

// placeKey is the context's key of the place of a request's connection.
type placeKey struct{}

// unread is a request's body: until its end has come, its peer is quiet.
type unread struct {
	io.ReadCloser
	of *slotted
}

// awaited returns the body of r as one whose end is waited for.
func awaited(r *http.Request) io.ReadCloser {
	s, ok := r.Context().Value(placeKey{}).(*slotted)
	if !ok || s == nil || r.ContentLength == 0 {
		return r.Body
	}
	s.hush(true)
	return &unread{r.Body, s}
}

// Read implements io.Reader.
func (u *unread) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil {
		u.of.hush(false)
	}
	return n, err
}
