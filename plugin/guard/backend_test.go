package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// authority signs certificates.
type authority struct{ *kit.Authority }

func newAuthority(t testing.TB) *authority { return &authority{kit.NewAuthority(t)} }

// issue returns a certificate for names.
func (a *authority) issue(t testing.TB, names ...string) *tls.Certificate {
	t.Helper()
	c := a.Issue(t, kit.Leaf{Names: names})
	return &c
}

func (a *authority) roots() *x509.CertPool { return a.Pool }

// backends are the machines behind the addresses: with a certificate, refusing
// (nil), or silent.
type backends struct {
	mu     sync.Mutex
	certs  map[string]*tls.Certificate
	silent map[string]bool
	acts   map[string]func(net.Conn) // what a machine does once it has read something
	dials  []dial
}

type dial struct {
	to netip.Addr
	at time.Time
}

func (b *backends) set(ip string, c *tls.Certificate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.certs[ip] = c
	delete(b.silent, ip)
	delete(b.acts, ip)
}

// act makes a machine do something with each connection.
func (b *backends) act(ip string, f func(net.Conn)) {
	b.set(ip, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acts == nil {
		b.acts = map[string]func(net.Conn){}
	}
	b.acts[ip] = f
}

func (b *backends) hush(ip string) {
	b.set(ip, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent[ip] = true
}

// forget forgets the handshakes that were made.
func (b *backends) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dials = nil
}

func (b *backends) made() []dial {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]dial(nil), b.dials...)
}

func (b *backends) dial(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
	b.mu.Lock()
	cert, silent, act := b.certs[to.Addr().String()], b.silent[to.Addr().String()], b.acts[to.Addr().String()]
	b.dials = append(b.dials, dial{to.Addr(), time.Now()})
	b.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case act != nil:
		near, far := net.Pipe()
		go func() {
			defer far.Close() //nolint:errcheck // a pipe
			_, _ = far.Read(make([]byte, 2048))
			act(far)
		}()
		return near, nil
	case cert == nil:
		return nil, syscall.ECONNREFUSED
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close() //nolint:errcheck // a pipe
		s := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{*cert}})
		if s.Handshake() == nil {
			_, _ = s.Read(make([]byte, 1))
		}
	}()
	return near, nil
}
