package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a certificate for a name and its key.
func certify(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// shownAt returns the name in the certificate that a server shows.
func shownAt(addr string) string {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test compares names
	if err != nil {
		return err.Error()
	}
	defer c.Close() //nolint:errcheck // read already
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestNamedFiles holds that certificates which an unchanged Corefile names are read
// again once they change, without `reload` in it; that what
// cannot be used changes nothing, and is told; and that no question is lost.
func TestNamedFiles(t *testing.T) {
	dir, port, dot := t.TempDir(), freePort(t), freePort(t)
	certify(t, dir, "one")
	path := filepath.Join(dir, "Corefile")
	rewrite(t, path, says(port, "first", "")+"tls://.:"+dot+" {\n bind 127.0.0.1\n tls "+dir+"/tls.crt "+dir+"/tls.key\n whoami\n}\n")
	s := start(t, Options{Corefile: path})
	if got := shownAt("127.0.0.1:" + dot); got != "one" {
		t.Fatal(got)
	}
	lost := 0
	certify(t, dir, "two")
	wait(t, wait10, "the new certificate", func() bool {
		if got := txt("udp", s.Addr("udp")); got != "first" {
			lost++
		}
		return shownAt("127.0.0.1:"+dot) == "two"
	})
	if lost > 0 {
		t.Errorf("%d questions lost", lost)
	}
	if !strings.Contains(logged.String(), filepath.Join(dir, "tls.crt")) {
		t.Error("the log does not say which file changed")
	}
	rewrite(t, filepath.Join(dir, "tls.key"), "no key")
	wait(t, wait10, "the fault in the log", func() bool { return strings.Contains(logged.String(), "what was in use stays in use") })
	if got := shownAt("127.0.0.1:" + dot); got != "two" {
		t.Errorf("with a broken key: %s", got)
	}
	certify(t, dir, "three")
	wait(t, wait10, "the mended certificate", func() bool { return shownAt("127.0.0.1:"+dot) == "three" })
}

// TestNamedIn holds which arguments are files that are looked at.
func TestNamedIn(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"resolv.conf", "c.pem", "k.pem", "Kexample.org.+013+00001.key", "Kexample.org.+013+00001.private", "zone.db", "hosts"} {
		rewrite(t, filepath.Join(dir, f), "x")
	}
	got := namedIn(input("Corefile", []byte(". {\n root "+dir+"\n tls c.pem k.pem\n forward . "+dir+"/resolv.conf\n dnssec {\n  key file Kexample.org.+013+00001\n }\n file zone.db example.org\n hosts hosts\n errors\n}\n")))
	var names []string
	for _, p := range got.paths {
		names = append(names, filepath.Base(p))
	}
	if want := "Kexample.org.+013+00001.key Kexample.org.+013+00001.private c.pem k.pem resolv.conf"; strings.Join(names, " ") != want {
		t.Errorf("looks at %v, want %s", names, want)
	}
	if changed := got.look(); len(changed) > 0 {
		t.Errorf("changed without a change: %v", changed)
	}
	if err := os.Remove(filepath.Join(dir, "resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if changed := got.look(); len(changed) != 1 {
		t.Errorf("one that is gone: %v", changed)
	}
	if n := namedIn(input("Corefile", []byte(". {\n"))); len(n.paths) > 0 {
		t.Errorf("of a Corefile with a fault: %v", n.paths)
	}
}

// TestAPortOfAPluginIsTaken holds that a resolver does not start, and keeps what is in
// use, if `health`, `ready`, `prometheus` or `pprof` could not listen: by the address
// that the line names, or by the plugin's own.
func TestAPortOfAPluginIsTaken(t *testing.T) {
	for dir := range beside {
		taken := "127.0.0.1:" + freePort(t)
		l := hold(t, taken)
		closing(t, l)
		port := freePort(t)
		bad := says(port, "two", "    "+dir+" "+taken)
		if _, err := Start(Options{Text: []byte(bad)}); err == nil || !strings.Contains(err.Error(), "`"+dir+"`") || !strings.Contains(err.Error(), taken+" is taken") {
			t.Errorf("start: %v", err)
		}
		path := write(t, says(port, "one", ""))
		t.Run(dir, func(t *testing.T) {
			s := start(t, Options{Corefile: path})
			rewrite(t, path, bad)
			if err := s.Reload(); err == nil || !strings.Contains(err.Error(), taken) {
				t.Errorf("reload: %v", err)
			}
			if got := txt("udp", s.Addr("udp")); got != "one" {
				t.Errorf("after the refused reload: %s", got)
			}
		})
	}
	in := input("Corefile", []byte("a {\n health\n ready :1\n prometheus\n pprof {\n  block\n }\n}\nb {\n ready 127.0.0.1:2\n prometheus\n}\n"))
	blocks, _ := parse(in)
	if got, want := strings.Join(besides(blocks), " "), "health://:8080 pprof://localhost:6053 prometheus://localhost:9153 ready://127.0.0.1:2 ready://:1"; got != want {
		t.Errorf("besides = %s, want %s", got, want)
	}
}
