package admin

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/test/kit"
)

const (
	tokenA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	tokenB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTokens holds who gets in with which token, and that the file is read
// again.
func TestTokens(t *testing.T) {
	s := newSystem(t, fleet)
	path := write(t, "tokens", "# who may\nops "+tokenA+"\n\n"+tokenB+"\n")
	srv := s.listen(t, config.Admin{Listen: loopback(), TokenFile: path})
	cases := []struct {
		auth   string
		status int
	}{
		{"", 401},
		{"Basic " + tokenA, 401},
		{tokenA, 401},
		{"Bearer", 401},
		{"Bearer ", 401},
		{"Bearer " + tokenA[1:], 403},
		{"Bearer " + tokenA + "a", 403},
		{"Bearer ops", 403},
		{"Bearer #", 403},
		{"Bearer " + tokenA, 200},
		{"Bearer " + tokenB, 200},
	}
	for _, method := range []string{"GET", "PUT"} {
		for _, c := range cases {
			path, body := "/v1/status", ""
			if method == "PUT" {
				path, body = "/v1/freeze", `{"reason":"r","owner":"o"}`
			}
			if method == "GET" && c.auth == "" {
				c.status = 200 // dashboards of this machine
			}
			r := send(t, srv, method, path, body, func(r *http.Request) {
				if c.auth != "" {
					r.Header.Set("Authorization", c.auth)
				}
			})
			if r.status != c.status {
				t.Errorf("%s with %q: got %d, want %d", method, c.auth, r.status, c.status)
			}
			if asks := r.header.Get("WWW-Authenticate") != ""; asks != (c.status == 401) {
				t.Errorf("%s with %q: WWW-Authenticate %v", method, c.auth, asks)
			}
			if r.status != 200 {
				r.problemOf(t)
			}
		}
	}
	log := s.log.String()
	for _, who := range []string{`peer="token ops from 127.0.0.1:`, `peer="token admin from 127.0.0.1:`} {
		if !strings.Contains(log, who) {
			t.Errorf("the log does not say %s:\n%s", who, log)
		}
	}
	if strings.Contains(log, tokenA) || strings.Contains(log, tokenB) {
		t.Error("a token is in the log")
	}

	if err := os.WriteFile(path, []byte(tokenB), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := send(t, srv, "GET", "/v1/status", "", header("Authorization", "Bearer "+tokenA)); r.status != 403 {
		t.Errorf("a revoked token: got %d", r.status)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if r := send(t, srv, "GET", "/v1/status", "", header("Authorization", "Bearer "+tokenB)); r.status != 500 || strings.Contains(r.body, path) {
		t.Errorf("without its file: got %d %s", r.status, r.body)
	}
}

func TestBadTokenFiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "only comments": "# none\n\n", "short": "secret", "three words": "a b " + tokenA, "four words": "a read b " + tokenA, "a scope alone": "read read", "large": strings.Repeat(tokenA+"\n", 3000),
	} {
		if _, err := readTokens(write(t, "tokens", text)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestFarAway holds that no address which other machines reach is opened without
// TLS and tokens, and that with both it serves.
func TestFarAway(t *testing.T) {
	s := newSystem(t, fleet)
	dir := t.TempDir()
	cert, key, trusted := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	ca := kit.NewAuthority(t)
	pair := ca.Issue(t, kit.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	kit.WritePair(t, &pair, cert, key)
	ca.Write(t, trusted)
	tokens := write(t, "tokens", tokenA)
	far := &url.URL{Scheme: "tcp", Host: "0.0.0.0:0"}
	for _, cfg := range []config.Admin{
		{Listen: far},
		{Listen: far, TokenFile: tokens},
		{Listen: far, CertFile: cert, KeyFile: key},
		{Listen: &url.URL{Scheme: "tcp", Host: "[::]:0"}},
	} {
		if srv, err := Listen(cfg, s.eng, nil); err == nil || srv != nil || !strings.Contains(err.Error(), "other machines") {
			t.Errorf("%v: got %v", cfg, err)
		}
	}
	if _, err := Listen(config.Admin{Listen: far, TokenFile: tokens, CertFile: key, KeyFile: key}, s.eng, nil); err == nil {
		t.Error("a bad certificate was taken")
	}

	srv := s.listen(t, config.Admin{Listen: far, TokenFile: tokens, CertFile: cert, KeyFile: key})
	_, port, _ := net.SplitHostPort(srv.Addr())
	c, err := NewClient(ClientOptions{Addr: "https://127.0.0.1:" + port, TokenFile: tokens, CAFile: trusted})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
	c, err = NewClient(ClientOptions{Addr: "https://127.0.0.1:" + port, TokenFile: tokens})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: got %v", err)
	}
	resp, err := http.Get("http://127.0.0.1:" + port + "/v1/status")
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil && resp.StatusCode == 200 {
		t.Error("served without TLS")
	}
}
