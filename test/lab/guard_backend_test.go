package lab

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// authority is the test's own CA. It signs a certificate for exactly the name that
// a client asks for, as the right backend of that name would have one.
type authority struct {
	*kit.Authority
	file string // what SSL_CERT_FILE is to name

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{Authority: kit.NewAuthority(t), issued: map[string]*tls.Certificate{}, file: filepath.Join(dir, "ca.pem")}
	a.Write(t, a.file)
	return a
}

// issue returns the certificate of a name, self-signed if it is a hijacker's.
func (a *authority) issue(name string, hijacker bool) (*tls.Certificate, error) {
	if name == "" {
		return nil, errors.New("a client that asks for no name")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id, by := name, a.Sign
	if hijacker {
		id, by = name+" hijacked", kit.SelfSigned
	}
	if c := a.issued[id]; c != nil {
		return c, nil
	}
	c, err := by(kit.Leaf{Subject: name, Names: []string{name}})
	if err != nil {
		return nil, err
	}
	a.issued[id] = &c
	return &c, nil
}

// backend is a TLS server on one address. It accepts handshakes and says nothing
// more.
type backend struct {
	ln    net.Listener
	tried atomic.Int64 // connections
	good  atomic.Int64 // finished handshakes
	names sync.Map     // what clients asked for
}

// backend443 opens a backend in a place that has the address.
func (a *authority) backend(l *lab, place, ip string, hijacker bool) *backend {
	b := &backend{ln: l.listenIn(place, net.JoinHostPort(ip, "443"))}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		b.names.Store(h.ServerName, true)
		return a.issue(h.ServerName, hijacker)
	}}
	go func() {
		for {
			c, err := b.ln.Accept()
			if err != nil {
				return
			}
			go b.shake(c, conf)
		}
	}()
	return b
}

func (b *backend) shake(c net.Conn, conf *tls.Config) {
	defer c.Close() //nolint:errcheck // nothing was said
	b.tried.Add(1)
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	s := tls.Server(c, conf)
	if s.Handshake() == nil {
		b.good.Add(1)
		_, _ = s.Read(make([]byte, 1)) // until the client is done
	}
}

// refuse ends the backend: who connects from now on is refused.
func (b *backend) refuse() { _ = b.ln.Close() }
