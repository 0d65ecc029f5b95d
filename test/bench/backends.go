package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// backends listens on every address of loopback, takes connections and closes
// them, and remembers how long each address in 127.0.0.0/14 was left alone.
type backends struct {
	l     net.Listener
	port  int
	start time.Time
	seen  [4 << 16]seen // by the last 18 bits of the address
}

// seen is when an address was probed last, and the longest time that it was not,
// both in nanoseconds. last is 0 if it was not probed.
type seen struct{ last, gap atomic.Int64 }

// listen binds to all addresses, but on loopback only.
func listen() (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, "lo")
		}); e != nil {
			return e
		}
		return err
	}}
	return lc.Listen(context.Background(), "tcp4", "0.0.0.0:0")
}

func startBackends() (*backends, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	b := &backends{l: l, port: l.Addr().(*net.TCPAddr).Port, start: time.Now()}
	for range 4 { // 20,000 come within the first second
		go b.serve()
	}
	return b, nil
}

func (b *backends) reset() {
	for i := range b.seen {
		b.seen[i].last.Store(0)
		b.seen[i].gap.Store(0)
	}
}

func (b *backends) serve() {
	for {
		c, err := b.l.Accept()
		if err != nil {
			return
		}
		at := binary.BigEndian.Uint32(c.LocalAddr().(*net.TCPAddr).IP.To4())
		_ = c.Close()
		s, now := &b.seen[at%(4<<16)], int64(time.Since(b.start))
		if last := s.last.Swap(now); last != 0 {
			s.gap.Store(max(s.gap.Load(), now-last))
		}
	}
}

// longest returns how many addresses whose second byte is one of nets were probed,
// and the longest time that one of them was not.
func (b *backends) longest(nets ...int) (n int, longest time.Duration) {
	now := int64(time.Since(b.start))
	for _, net := range nets {
		for i := range 1 << 16 {
			s := &b.seen[net<<16|i]
			if last := s.last.Load(); last != 0 {
				n++
				longest = max(longest, time.Duration(s.gap.Load()), time.Duration(now-last))
			}
		}
	}
	return n, longest
}

func (b *backends) close() { _ = b.l.Close() }

// startHTTPS is the same with HTTPS. The names below bench.test are in its
// certificate, which it writes to dir.
func startHTTPS(dir string) (port int, stop func(), err error) {
	if err := certificate(dir); err != nil {
		return 0, nil, err
	}
	l, err := listen()
	if err != nil {
		return 0, nil, err
	}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that a probe gave up
	srv := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok"))
	})}
	go srv.ServeTLS(l, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")) //nolint:errcheck // ends with stop
	return l.Addr().(*net.TCPAddr).Port, func() { _ = srv.Close() }, nil
}

// certificate writes cert.pem and key.pem for *.bench.test and 127.0.0.1.
func certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench.test"}, DNSNames: []string{"*.bench.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// trusting returns a TLS configuration of a client that trusts cert.pem in dir.
func trusting(dir string) (*tls.Config, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// services writes a failover.yaml of n services, each with an address in every one
// of the regions, 127.1.0.0/16 and so on, and returns its path. head is put before
// the services.
func (b *bench) services(name string, n int, head string, regions ...string) (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "probes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\nstate: {dir: %s/state-%s}\n%s\nservices:\n", b.dir, name, head)
	for i := range n {
		fmt.Fprintf(&out, "  %s: {monitors: [web], pools: [", serviceName(i))
		for r, region := range regions {
			fmt.Fprintf(&out, "%s{%s: [127.%d.%d.%d]}", strings.Repeat(", ", min(r, 1)), region, r+1, i>>8, i&255)
		}
		out.WriteString("]}\n")
	}
	path := filepath.Join(b.dir, name+".yaml")
	return path, os.WriteFile(path, []byte(out.String()), 0o600)
}

func serviceName(i int) string { return fmt.Sprintf("s%05d.bench.test", i) }
