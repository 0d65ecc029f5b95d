package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

func TestClientAddresses(t *testing.T) {
	for _, addr := range []string{"http://127.0.0.1:1", "https://resolver.example:8053", "unix:///run/detour/admin.sock"} {
		if _, err := NewClient(ClientOptions{Addr: addr}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:8053", "localhost", "unix://run/admin.sock", "unix:", "ftp://x", "http://", "::", "\n"} {
		if _, err := NewClient(ClientOptions{Addr: addr}); err == nil || !strings.Contains(err.Error(), "write unix:///run/detour/admin.sock") {
			t.Errorf("%s: got %v", addr, err)
		}
	}
	missing := filepath.Join(t.TempDir(), "none")
	for _, o := range []ClientOptions{{TokenFile: missing}, {CAFile: missing}, {TokenFile: write(t, "t", "# none\n")}, {CAFile: write(t, "c", "x")}} {
		if _, err := NewClient(o); err == nil {
			t.Errorf("%+v: taken", o)
		}
	}
}

// TestClientErrors holds each failure to a message that says what to do.
func TestClientErrors(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	said := func(h http.HandlerFunc) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	gone := said(func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := http.NewResponseController(w).Hijack()
		_ = c.Close()
	})
	for name, c := range map[string]struct{ addr, says string }{
		"nobody":    {"http://" + free.Addr().String(), "no resolver answers at http://" + free.Addr().String() + ": is it running? give its address with --admin or in DETOUR_ADMIN"},
		"no socket": {"unix://" + t.TempDir() + "/none", "no resolver answers at unix://"},
		"a website": {said(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }), "is no resolver"},
		"redirect":  {said(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }), "is no resolver (HTTP status 302)"},
		"not JSON": {said(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{")
		}), "does not understand"},
		"bad problem": {said(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(400)
		}), "is no resolver"},
		"hangs up": {gone, "cannot talk to " + gone},
	} {
		t.Run(name, func(t *testing.T) {
			cl, err := NewClient(ClientOptions{Addr: c.addr})
			if err != nil {
				t.Fatal(err)
			}
			_, err = cl.Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, c.says)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := cl.Status(ctx); err == nil {
				t.Error("asked though nobody waits")
			}
		})
	}
}

func TestClientWithoutToken(t *testing.T) {
	srv := newSystem(t, fleet).listen(t, config.Admin{Listen: loopback(), TokenFile: write(t, "tokens", tokenA)})
	if _, err := client(t, srv).PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: "o"}); err == nil || !strings.Contains(err.Error(), "wants a token: name the file that holds it with --token-file") {
		t.Errorf("got %v", err)
	}
	c, err := NewClient(ClientOptions{Addr: "http://" + srv.Addr(), TokenFile: write(t, "mine", "ops "+tokenB)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "not one of this resolver's") {
		t.Errorf("got %v", err)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		limit int
		want  int
	}{
		{"", "", 0, 0},
		{"shop", "shop", 1, 0},
		{"shp", "shop", 1, 1},
		{"shop", "shpo", 2, 2},
		{"shop", "shpo", 1, -1},
		{"a", "abcdef", 2, -1},
		{"kitten", "sitting", 3, 3},
	} {
		if got := distance(c.a, c.b, c.limit); got != c.want {
			t.Errorf("%s %s: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
