package kit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ConsulServerName is the name in a server's certificate, beside 127.0.0.1.
const ConsulServerName = "server.dc1.consul"

// ConsulCerts are the files of an authority that lives for one test.
type ConsulCerts struct {
	CA        string // file: whom to trust
	Cert, Key string // files: of a client

	ServerCert, ServerKey string // files: of a server
	pool                  *x509.CertPool
	own                   tls.Certificate
}

// Client returns what a client verifies the server with.
func (c *ConsulCerts) Client() *tls.Config {
	return &tls.Config{RootCAs: c.pool, Certificates: []tls.Certificate{c.own}}
}

// MakeConsulCerts makes an authority, a server and a client in dir.
func MakeConsulCerts(t testing.TB, dir string) *ConsulCerts {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	c := &ConsulCerts{
		CA: file("ca.pem"), Cert: file("client.pem"), Key: file("client.key"),
		ServerCert: file("server.pem"), ServerKey: file("server.key"), pool: x509.NewCertPool(),
	}
	ca := signed(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, c.CA, "")
	c.pool.AddCert(ca.Leaf)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	signed(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: ConsulServerName}, ExtKeyUsage: both,
		DNSNames: []string{ConsulServerName, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, &ca, c.ServerCert, c.ServerKey)
	c.own = signed(t, &x509.Certificate{Subject: pkix.Name{CommonName: "observer"}, ExtKeyUsage: both}, &ca, c.Cert, c.Key)
	return c
}

// signed makes a certificate, by itself if there is no issuer, and writes it and
// its key to files, the key only where a file is named.
func signed(t testing.TB, c *x509.Certificate, issuer *tls.Certificate, certFile, keyFile string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, by := c, any(key)
	if issuer != nil {
		parent, by = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", der)
	if keyFile != "" {
		writePEM(t, keyFile, "EC PRIVATE KEY", private)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
