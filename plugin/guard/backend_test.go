package guard

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// authority signs certificates. Bubbles begin in the year 2000.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{}
	a.key, a.cert = a.make(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "test"}})
	return a
}

func (a *authority) make(t testing.TB, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano() + 1)
	c.NotBefore, c.NotAfter = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	parent, by := c, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// issue returns a certificate for names.
func (a *authority) issue(t testing.TB, names ...string) *tls.Certificate {
	t.Helper()
	key, cert := a.make(t, &x509.Certificate{DNSNames: names})
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// backends are the machines behind the addresses: with a certificate, refusing
// (nil), or silent.
type backends struct {
	mu     sync.Mutex
	certs  map[string]*tls.Certificate
	silent map[string]bool
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
	cert, silent := b.certs[to.Addr().String()], b.silent[to.Addr().String()]
	b.dials = append(b.dials, dial{to.Addr(), time.Now()})
	b.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
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
