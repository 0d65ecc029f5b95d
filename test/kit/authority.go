package kit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// What certificates hold for unless said: the bubbles of testing/synctest begin in
// the year 2000.
var (
	certBegins = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	certEnds   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Authority signs certificates for a test.
type Authority struct {
	Pool *x509.CertPool // who trusts it
	own  tls.Certificate
}

// Leaf is what a certificate says. It is good for servers and for clients.
type Leaf struct {
	Subject string
	Names   []string
	IPs     []net.IP
	Ends    time.Time // zero: in the year 2100
}

// NewAuthority returns an authority that nobody else trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	own, err := sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, NotAfter: certEnds,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{x509.NewCertPool(), own}
	a.Pool.AddCert(own.Leaf)
	return a
}

// Issue returns a certificate that the authority signed.
func (a *Authority) Issue(t testing.TB, l Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Sign(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Sign is Issue where no test may be ended, as in a server's goroutine.
func (a *Authority) Sign(l Leaf) (tls.Certificate, error) { return sign(l.template(), &a.own) }

// SelfSigned returns a certificate that no authority signed.
func SelfSigned(l Leaf) (tls.Certificate, error) { return sign(l.template(), nil) }

// Write puts the authority's certificate into a file, for those who are to trust it.
func (a *Authority) Write(t testing.TB, file string) {
	t.Helper()
	writePEM(t, file, "CERTIFICATE", a.own.Leaf.Raw)
}

// WritePair puts a certificate and its key into files.
func WritePair(t testing.TB, c *tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", c.Leaf.Raw)
	writePEM(t, keyFile, "PRIVATE KEY", key)
}

func (l *Leaf) template() *x509.Certificate {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: l.Subject}, DNSNames: l.Names, IPAddresses: l.IPs, NotAfter: l.Ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.Ends.IsZero() {
		c.NotAfter = certEnds
	}
	return c
}

// sign makes a certificate with a key of its own, by itself if there is no issuer.
func sign(c *x509.Certificate, issuer *tls.Certificate) (out tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return out, err
	}
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(math.MaxInt64)); err != nil {
		return out, err
	}
	c.NotBefore = certBegins
	parent, by := c, any(key)
	if issuer != nil {
		parent, by = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		return out, err
	}
	out = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	out.Leaf, err = x509.ParseCertificate(der)
	return out, err
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
