package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"
)

// open listens on tcp://address:port or unix:///path.
func open(u *url.URL) (net.Listener, error) {
	if u.Scheme == "unix" {
		return openSocket(u.Path)
	}
	l, err := net.Listen("tcp", u.Host)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: end that one, or give another address as admin.listen", u.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", u.Host, err)
	}
	return l, nil
}

// openSocket listens on a unix socket that its owner and group may use. A socket
// left behind by a process that was killed is replaced; one that somebody
// answers on, or a file that is no socket, is left alone.
func openSocket(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot protect %s: %w", path, err), l.Close())
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", path, err)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is a file, not a socket: move it away, or give another path as admin.listen", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is in use by another process: end that one, or give another path as admin.listen", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("cannot remove the socket that a dead process left: %w", err)
	}
	return nil
}

// limit bounds the connections that are open at once. More wait in the system's
// queue: they cost us nothing, and those that idle are closed soon.
func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotted{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// slotted is a connection that counts.
type slotted struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *slotted) Close() error {
	defer c.release()
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
