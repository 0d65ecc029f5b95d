package prober

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// brief is the timeout where silence is expected: a quarter of it is what a busy
// machine may be late.
const brief = 800 * time.Millisecond

// serve handles every connection to a new loopback listener.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				handle(c)
			}()
		}
	}()
	return addrPort(l.Addr())
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }

// hold reads and says nothing until the other side leaves.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// reset makes the close of a connection a reset.
func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// closedPort returns a port on which nothing listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := addrPort(l.Addr())
	_ = l.Close()
	return to
}

func newProber(t *testing.T, s Spec, env Env) Prober {
	t.Helper()
	if s.Timeout == 0 {
		s.Timeout, s.Attempts = 2*time.Second, 3
	}
	p, err := New(s, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// want probes once and compares the cause.
func want(t *testing.T, s Spec, host string, to netip.AddrPort, cause health.Cause) health.Result {
	t.Helper()
	r := newProber(t, s, Env{}).Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port(), Host: host})
	if r.Cause != cause {
		t.Fatalf("cause %s (%s), want %s", r.Cause, r.Detail, cause)
	}
	if answered := cause.OK() || cause.Answered(); answered != (r.Latency > 0) {
		t.Errorf("cause %s has latency %s", cause, r.Latency)
	}
	if !cause.OK() && r.Detail == "" {
		t.Errorf("cause %s has no detail", cause)
	}
	last := time.Duration(0)
	for _, s := range r.Steps {
		if s.At < last {
			t.Errorf("steps out of order: %v", r.Steps)
		}
		last = s.At
	}
	return r
}

// names returns the names of a result's steps.
func names(r health.Result) string {
	s := ""
	for _, step := range r.Steps {
		s += step.Name + " "
	}
	return s
}

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key, file: file}
}

// issue returns a certificate for a name and for 127.0.0.1 that ends at end.
func (a *authority) issue(t *testing.T, name string, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-200 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// quiet is a log that nobody reads.
var quiet = log.New(io.Discard, "", 0)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// leftNothing waits until there are no more goroutines than before; those of the
// far sides need a moment to end.
func leftNothing(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}
