package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// authority is the test's own CA. It signs a certificate for exactly the name that
// a client asks for, as the right backend of that name would have one.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // what SSL_CERT_FILE is to name

	mu     sync.Mutex
	issued map[string]*tls.Certificate
	serial int64
}

func newAuthority(dir string) (*authority, error) {
	a := &authority{issued: map[string]*tls.Certificate{}, serial: 1, file: filepath.Join(dir, "ca.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return a, os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

// issue returns the certificate of a name, self-signed if it is a hijacker's.
func (a *authority) issue(name string, hijacker bool) (*tls.Certificate, error) {
	if name == "" {
		return nil, errors.New("a client that asks for no name")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := name
	if hijacker {
		id += " hijacked"
	}
	if c := a.issued[id]; c != nil {
		return c, nil
	}
	a.serial++
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	by := a.cert
	if hijacker {
		by = leaf
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, by, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	a.issued[id] = c
	return c, nil
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
