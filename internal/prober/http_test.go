package prober

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// site serves HTTP with pages for every fault.
func site(t *testing.T, hits *atomic.Int32) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "status: fine\n") })
	mux.HandleFunc("/503", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusServiceUnavailable) })
	mux.HandleFunc("/move", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("x", 1<<10))
		for n := 0; n < 1<<14; n++ {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "sta")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s|%s", r.Method, r.Host, r.URL.RawQuery, r.Header.Get("X-Key"), r.UserAgent(), r.Proto)
	})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestHTTP(t *testing.T) {
	var hits atomic.Int32
	s := site(t, &hits)
	s.Start()
	to := addrPort(s.Listener.Addr())
	fine := regexp.MustCompile(`status: fine`)
	for _, tc := range []struct {
		name string
		spec Spec
		want health.Cause
		hits int32
	}{
		{"ok", Spec{Path: "/ok"}, health.CauseNone, 1},
		{"head", Spec{Path: "/ok", Method: "HEAD"}, health.CauseNone, 1},
		{"body", Spec{Path: "/ok", Expect: Expect{Body: fine}}, health.CauseNone, 1},
		{"other body", Spec{Path: "/ok", Expect: Expect{Body: regexp.MustCompile("broken")}}, health.CauseBody, 1},
		{"503", Spec{Path: "/503"}, health.CauseStatus, 1},
		{"expected 503", Spec{Path: "/503", Expect: Expect{Status: []StatusRange{{500, 599}}}}, health.CauseNone, 1},
		{"redirect", Spec{Path: "/move"}, health.CauseStatus, 1},
		{"expected redirect", Spec{Path: "/move", Expect: Expect{Status: []StatusRange{{200, 200}, {300, 399}}}}, health.CauseNone, 1},
		{"huge", Spec{Path: "/huge"}, health.CauseNone, 1},
		{"huge body", Spec{Path: "/huge", Expect: Expect{Body: fine}}, health.CauseBody, 1},
		{"huge body that matches", Spec{Path: "/huge", Expect: Expect{Body: regexp.MustCompile("xxx")}}, health.CauseNone, 1},
		{"slow body", Spec{Path: "/slow", Timeout: brief, Attempts: 2, Expect: Expect{Body: fine}}, health.CauseTimeout, 2},
		{"slow body unread", Spec{Path: "/slow"}, health.CauseNone, 1},
		{"no reply", Spec{Path: "/hang", Timeout: brief, Attempts: 3}, health.CauseTimeout, 3},
		{"hints", Spec{Path: "/hints"}, health.CauseNone, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hits.Store(0)
			tc.spec.Type = "http"
			r := want(t, tc.spec, "shop.example", to, tc.want)
			if hits.Load() != tc.hits {
				t.Errorf("%d requests, want %d", hits.Load(), tc.hits)
			}
			if strings.Contains(r.Detail, "secret") {
				t.Errorf("detail %q shows the body", r.Detail)
			}
			if tc.name == "body" && names(r) != "dial request first_byte body " {
				t.Errorf("steps %v", r.Steps)
			}
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	s := site(t, new(atomic.Int32))
	s.Start()
	to := addrPort(s.Listener.Addr())
	port := fmt.Sprint(to.Port())
	for _, tc := range []struct{ host, header, body string }{
		{"shop.example", "", "GET shop.example:" + port + " a=b key detour-probe|HTTP/1.1"},
		{"", "", "GET 127.0.0.1:" + port + " a=b key detour-probe|HTTP/1.1"},
		{"shop.example", "other.example", "GET other.example a=b key detour-probe|HTTP/1.1"},
	} {
		spec := Spec{Type: "http", Path: "/echo?a=b", Headers: map[string]string{"x-key": "key"}}
		if tc.header != "" {
			spec.Headers["host"] = tc.header
		}
		spec.Expect.Body = regexp.MustCompile("^" + regexp.QuoteMeta(tc.body) + "$")
		want(t, spec, tc.host, to, health.CauseNone)
	}
}

func TestHostPort(t *testing.T) {
	for _, tc := range []struct {
		host, addr string
		port       uint16
		scheme     string
		want       string
	}{
		{"shop.example", "192.0.2.1", 443, "https", "shop.example"},
		{"shop.example", "192.0.2.1", 80, "https", "shop.example:80"},
		{"", "192.0.2.1", 80, "http", "192.0.2.1"},
		{"", "2001:db8::1", 443, "https", "[2001:db8::1]"},
		{"", "2001:db8::1", 8443, "https", "[2001:db8::1]:8443"},
		{"", "::ffff:192.0.2.1", 443, "https", "192.0.2.1"},
	} {
		if got := hostPort(Target{Addr: netip.MustParseAddr(tc.addr), Port: tc.port, Host: tc.host}, tc.scheme); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

func TestHTTPBroken(t *testing.T) {
	s := Spec{Type: "http", Expect: Expect{Body: regexp.MustCompile("fine")}}
	say := func(text string) netip.AddrPort {
		return serve(t, func(c net.Conn) {
			_, _ = http.ReadRequest(newReader(c))
			_, _ = io.WriteString(c, text)
		})
	}
	want(t, s, "h", say("SSH-2.0-OpenSSH_9.2\r\n\r\n"), health.CauseProtocol)
	want(t, s, "h", say("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("y", 70<<10)), health.CauseProtocol)
	want(t, s, "h", say(strings.Repeat("HTTP/1.1 103 Early\r\n\r\n", 9)), health.CauseProtocol)
	want(t, s, "h", say(""), health.CauseReset)
	want(t, s, "h", say("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nfi"), health.CauseReset)
	want(t, s, "h", say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine!"), health.CauseNone)
	want(t, s, "h", say("HTTP/1.0 200 OK\r\n\r\nfine"), health.CauseNone)
	want(t, s, "h", serve(t, func(c net.Conn) { reset(c) }), health.CauseReset)
	want(t, s, "h", closedPort(t), health.CauseRefused)
}

func TestHTTPS(t *testing.T) {
	ca := newAuthority(t)
	var hits atomic.Int32
	s := site(t, &hits)
	end := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", end)}}
	s.Config.ErrorLog = quiet
	s.StartTLS()
	to := addrPort(s.Listener.Addr())
	spec := Spec{Type: "https", Path: "/ok", Verify: true, CAFile: ca.file}
	r := want(t, spec, "shop.example", to, health.CauseNone)
	if !r.Expiry.Equal(end) || names(r) != "dial handshake request first_byte " {
		t.Errorf("expiry %s, steps %v", r.Expiry, r.Steps)
	}
	spec.Path = "/503"
	if r = want(t, spec, "shop.example", to, health.CauseStatus); r.Detail != "503 Service Unavailable" || r.Expiry.IsZero() {
		t.Errorf("detail %q, expiry %s", r.Detail, r.Expiry)
	}
	picky := serveTLS(t, &tls.Config{Certificates: s.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert}, holdTLS)
	want(t, spec, "shop.example", picky, health.CauseTLS) // TLS 1.3: after the handshake
	hits.Store(0)
	want(t, spec, "bank.example", to, health.CauseTLSName)
	if hits.Load() != 0 {
		t.Error("a request was sent to a server that is not verified")
	}
	spec.Type = "http"
	want(t, spec, "shop.example", to, health.CauseStatus) // Go's server says 400 to plain HTTP
}

// TestDialHook shows that Env.Dial replaces the system's connect.
func TestDialHook(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		_, _ = http.ReadRequest(newReader(far))
		_, _ = io.WriteString(far, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	p := newProber(t, Spec{Type: "http"}, Env{Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) { return near, nil }})
	if r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 80}); !r.Cause.OK() {
		t.Error(r.Cause, r.Detail)
	}
}
