package consul

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// canary is a token that must never be seen.
const canary = "c0ffee00-canary-token"

func storeAt(t *testing.T, address string) config.Store {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return config.Store{Address: u}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ask(at config.Store) (answer, error) {
	c := newClient(at)
	defer c.close()
	a, _, err := c.read(context.Background(), &query{service: "web"}, &rules{})
	return a, err
}

// serve answers as Consul does and notes the tokens that come.
func serve(tokens *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*tokens = append(*tokens, r.Header.Get("X-Consul-Token"))
		w.Header().Set("X-Consul-Index", "7")
		w.Header().Set("X-Consul-KnownLeader", "true")
		w.Header().Set("X-Consul-LastContact", "3")
		w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
		_, _ = w.Write([]byte("[" + element(`"ID":"a"`) + "]"))
	})
}

func TestAsk(t *testing.T) {
	var tokens []string
	s := httptest.NewServer(serve(&tokens))
	defer s.Close()
	at := storeAt(t, s.URL)
	if _, err := ask(at); err != nil {
		t.Fatal(err)
	}
	at.TokenFile = writeFile(t, "token", canary+"\n")
	a, err := ask(at)
	if err != nil || a.index != 7 || !a.knownLeader || a.lastContact.Milliseconds() != 3 || !a.hidden || len(a.instances) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := os.WriteFile(at.TokenFile, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(at); err != nil || strings.Join(tokens, ",") != ","+canary+",another" {
		t.Errorf("tokens %q, %v", tokens, err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	s := httptest.NewUnstartedServer(serve(&tokens))
	s.Listener = l
	s.Start()
	defer s.Close()
	if _, err := ask(storeAt(t, "unix://"+path)); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	var tokens []string
	s := httptest.NewUnstartedServer(serve(&tokens))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	ca := writeFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	for name, c := range map[string]struct {
		change func(*config.Store)
		want   string
	}{
		"trusted":                {func(at *config.Store) { at.CAFile = ca }, ""},
		"under another name":     {func(at *config.Store) { at.CAFile, at.ServerName = ca, "server.dc1.consul" }, ", not server.dc1.consul"},
		"under its name":         {func(at *config.Store) { at.CAFile, at.ServerName = ca, "example.com" }, ""},
		"of an unknown root":     {func(*config.Store) {}, "x509: certificate signed by unknown authority"},
		"a root that is missing": {func(at *config.Store) { at.CAFile = ca + "x" }, "ca_file: open"},
		"a root that is none":    {func(at *config.Store) { at.CAFile = writeFile(t, "x", "x") }, "ca_file holds no certificate"},
		"no certificate of ours": {func(at *config.Store) { at.CAFile, at.CertFile, at.KeyFile = ca, ca+"x", ca }, "cert_file and key_file: open"},
	} {
		at := storeAt(t, s.URL)
		at.TokenFile = writeFile(t, "token", canary)
		c.change(&at)
		before := len(tokens)
		_, err := ask(at)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && len(tokens) != before {
			t.Errorf("%s: the token was sent", name)
		}
	}
}

// TestTheTokenIsNeverSeen: no error holds the token, and no other server gets it.
func TestTheTokenIsNeverSeen(t *testing.T) {
	var tokens []string
	other := httptest.NewServer(serve(&tokens))
	defer other.Close()
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/redirect"):
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			http.Error(w, "Permission denied for "+r.Header.Get("X-Consul-Token"), http.StatusForbidden)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(answer))
	defer s.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, token := range map[string]string{
		"one": canary, "two": canary + "\n" + canary, "with a control character": canary + "\x01", "none": "", "too long": strings.Repeat("x", 4<<10+1),
	} {
		for _, address := range []string{s.URL, s.URL + "/redirect", closed.URL} {
			at := storeAt(t, strings.TrimSuffix(address, "/redirect"))
			at.TokenFile = writeFile(t, "token", token)
			c := newClient(at)
			if strings.HasSuffix(address, "/redirect") {
				c.base += "/redirect"
			}
			_, _, err := c.read(context.Background(), &query{service: "redirect"}, &rules{})
			c.close()
			if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "xxxx") {
				t.Errorf("%s at %s: %v", name, address, err)
			}
		}
	}
	if len(tokens) > 0 {
		t.Errorf("another server got %q", tokens)
	}
	at := storeAt(t, s.URL)
	at.TokenFile = "/does/not/exist"
	if _, err := ask(at); err == nil || !strings.Contains(err.Error(), "token_file: open /does/not/exist") {
		t.Errorf("a missing token file: %v", err)
	}
}

func TestAnAnswerThatEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := newClient(storeAt(t, "http://127.0.0.1:1"))
	if _, _, err := c.read(ctx, &query{service: "web"}, &rules{}); err == nil {
		t.Error("an answer after the end")
	}
}
