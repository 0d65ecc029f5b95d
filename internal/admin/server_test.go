package admin

import (
	"encoding/json"
	"fmt"
	"log/slog"
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

// TestMethods sends every method to every path: what is not offered is refused
// with what is, and GET changes nothing.
func TestMethods(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	offered := map[string]string{
		"/v1/status": "GET", "/v1/services/shop.example.org": "GET", "/v1/explain?name=shop.example.org": "GET",
		"/v1/overrides": "GET", "/v1/overrides/aws/us-east-1": "DELETE, GET, PUT", "/v1/freeze": "DELETE, PUT",
		"/v1/failback": "POST", "/v1/events": "GET", "/v1/simulate?down=aws/us-east-1": "GET", "/v1/probe": "POST", "/v1/check": "POST",
	}
	for path, methods := range offered {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
			r := send(t, srv, method, path, "")
			can := method
			if method == "HEAD" {
				can = "GET"
			}
			if strings.Contains(methods, can) {
				if r.status == http.StatusMethodNotAllowed {
					t.Errorf("%s %s: refused", method, path)
				}
				continue
			}
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != methods {
				t.Errorf("%s %s: got %d, Allow %q, want 405 and %q", method, path, r.status, r.header.Get("Allow"), methods)
			}
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/nothing", "/v2/status", "/v1/services/", "/v1/events/1"} {
		r := send(t, srv, "GET", path, "")
		if r.status != http.StatusNotFound {
			t.Errorf("%s: got %d", path, r.status)
		}
		r.problemOf(t)
	}
	if o, f := s.eng.Hands(); len(o) != 1 || len(f) != 0 {
		t.Errorf("asking changed something: %v %v", o, f)
	}
}

func TestBodies(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"empty":          {"", 400, "here: it is empty, send a JSON object"},
		"no object":      {"[]", 400, "here: it wants a JSON object, not array"},
		"half":           {`{"do":"drain"`, 400, "here: it ends in the middle"},
		"no text":        {`{"do":"drain","reason":7}`, 400, "here: reason wants a text in quotes, not number"},
		"no bool":        {`{"do":"drain","dry_run":"yes"}`, 400, "here: dry_run wants true or false, not string"},
		"no time":        {`{"do":"drain","until":"soon"}`, 400, "here: a time is written such as"},
		"number as time": {`{"do":"drain","until":7}`, 400, "here: a time is written such as"},
		"no JSON":        {`do: drain`, 400, "here: it is no JSON at byte 1"},
		"two":            {`{"do":"drain","reason":"r","owner":"o"} {}`, 400, "follows"},
		"unknown key":    {`{"do":"drain","reasn":"r","owner":"o"}`, 400, "here: there is no key \"reasn\""},
		"too large":      {`{"do":"drain","owner":"o","reason":"` + strings.Repeat("x", maxBody) + `"}`, 413, "65536"},
		"large after":    {`{"do":"drain","owner":"o","reason":"r"}` + strings.Repeat(" ", maxBody), 413, "65536"},
		"long reason":    {`{"do":"drain","owner":"o","reason":"` + strings.Repeat("x", maxText+1) + `"}`, 422, "reason"},
		"no reason":      {`{"do":"drain","owner":"o"}`, 422, "reason is missing"},
		"blank owner":    {`{"do":"drain","reason":"r","owner":" "}`, 422, "owner is missing"},
		"no do":          {`{"reason":"r","owner":"o"}`, 422, "drain, down and up"},
		"bad do":         {`{"do":"explode","reason":"r","owner":"o"}`, 422, "explode"},
		"bad for":        {`{"do":"drain","reason":"r","owner":"o","for":"soon"}`, 422, "soon"},
		"negative for":   {`{"do":"drain","reason":"r","owner":"o","for":"-1h"}`, 422, "after now"},
		"for ever":       {`{"do":"drain","reason":"r","owner":"o","for":"9000h"}`, 422, "30 days"},
		"past":           {`{"do":"drain","reason":"r","owner":"o","until":"2001-01-01T00:00:00Z"}`, 422, "after now"},
		"both":           {`{"do":"drain","reason":"r","owner":"o","for":"1h","until":"2101-01-01T00:00:00Z"}`, 422, "not both"},
		"reserve for up": {`{"do":"up","reason":"r","owner":"o","last_resort":true}`, 422, "drain only"},
	} {
		t.Run(name, func(t *testing.T) {
			r := send(t, srv, "PUT", "/v1/overrides/aws/us-east-1", c.body)
			if p := r.problemOf(t); r.status != c.status || !strings.Contains(p.Detail, c.says) {
				t.Errorf("got %d %q, want %d and %q", r.status, p.Detail, c.status, c.says)
			}
		})
	}
	if o, _ := s.eng.Hands(); len(o) != 1 {
		t.Errorf("a bad body changed something: %v", o)
	}
}

// A key that nobody reads is refused: who writes dry_run behind the address must not
// drain.
func TestQueryKeys(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	const body = `{"do":"drain","reason":"r","owner":"o"}`
	for line, says := range map[string]string{
		"PUT /v1/overrides/aws/us-east-1?dry_run=true":            "there is no query key \"dry_run\" here: it belongs into the body, as {\"dry_run\": ...}",
		"DELETE /v1/overrides/shop.example.org/203.0.113.7?owner": "there is no query key \"owner\" here: it takes none",
		"GET /v1/events?from=1h":                                  "there is no query key \"from\" here: it takes since, after, target, kind and limit",
		"HEAD /v1/simulate?up=x":                                  "",
		"DELETE /v1/freeze?reason=r":                              "there is no query key \"reason\" here: it takes target",
	} {
		method, path, _ := strings.Cut(line, " ")
		r := send(t, srv, method, path, body)
		if r.status != http.StatusBadRequest || says != "" && r.problemOf(t).Detail != says {
			t.Errorf("%s: %d %s", line, r.status, r.body)
		}
	}
	if o, _ := s.eng.Hands(); len(o) != 1 {
		t.Errorf("a bad query changed something: %v", o)
	}
}

// TestForeign holds that no web page reaches the API: not by a name that it
// bound to 127.0.0.1, nor with a browser's own headers.
func TestForeign(t *testing.T) {
	srv := newSystem(t, fleet).listen(t, config.Admin{Listen: loopback()})
	_, port, _ := net.SplitHostPort(srv.Addr())
	for name, c := range map[string]struct {
		change []func(*http.Request)
		status int
	}{
		"plain":             {nil, 200},
		"localhost":         {[]func(*http.Request){host("localhost:" + port)}, 200},
		"localhost in dots": {[]func(*http.Request){host("LOCALHOST.")}, 200},
		"other loopback":    {[]func(*http.Request){host("127.8.9.1")}, 200},
		"v6":                {[]func(*http.Request){host("[::1]:" + port)}, 200},
		"rebound":           {[]func(*http.Request){host("evil.example:" + port)}, 403},
		"rebound trick":     {[]func(*http.Request){host("127.0.0.1.evil.example")}, 403},
		"other machine":     {[]func(*http.Request){host("192.0.2.1")}, 403},
		"user typed":        {[]func(*http.Request){header("Sec-Fetch-Site", "none")}, 200},
		"cross site":        {[]func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"same site":         {[]func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		"own origin":        {[]func(*http.Request){header("Origin", "http://127.0.0.1:"+port)}, 200},
		"other origin":      {[]func(*http.Request){header("Origin", "https://evil.example")}, 403},
		"other port":        {[]func(*http.Request){header("Origin", "http://127.0.0.1:1")}, 403},
		"null origin":       {[]func(*http.Request){header("Origin", "null")}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := send(t, srv, "GET", "/v1/status", "", c.change...)
			if r.status != c.status {
				t.Errorf("got %d, want %d: %.100s", r.status, c.status, r.body)
			}
			if r.header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("lets other origins read")
			}
		})
	}
}

func TestTakenPort(t *testing.T) {
	s := newSystem(t, fleet)
	first := s.listen(t, config.Admin{Listen: loopback()})
	srv, err := Listen(config.Admin{Listen: &url.URL{Scheme: "tcp", Host: first.Addr()}}, s.eng, nil)
	if srv != nil || err == nil || !strings.Contains(err.Error(), first.Addr()+" is in use") {
		t.Errorf("got %v, %v", srv, err)
	}
	off, err := Listen(config.Admin{Off: true}, s.eng, nil)
	if off != nil || err != nil || off.Close() != nil {
		t.Errorf("off: got %v, %v", off, err)
	}
}

func TestSocket(t *testing.T) {
	s := newSystem(t, fleet)
	path := filepath.Join(t.TempDir(), "a.sock")
	cfg := config.Admin{Listen: &url.URL{Scheme: "unix", Path: path}}
	srv := s.listen(t, cfg)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v, want 0660", info.Mode(), err)
	}
	c := client(t, srv)
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	if who := fmt.Sprintf("peer=%q", uidText(os.Getuid())); !strings.Contains(s.log.String(), who) {
		t.Errorf("no %s in the log:\n%s", who, s.log.String())
	}
	if _, err := Listen(cfg, s.eng, nil); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a socket that is answered on: got %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}

func TestStaleSocket(t *testing.T) {
	s := newSystem(t, fleet)
	path := filepath.Join(t.TempDir(), "a.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Admin{Listen: &url.URL{Scheme: "unix", Path: path}}
	if _, err := client(t, s.listen(t, cfg)).Status(t.Context()); err != nil {
		t.Error(err)
	}

	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Listen = &url.URL{Scheme: "unix", Path: file}
	if _, err := Listen(cfg, s.eng, nil); err == nil || !strings.Contains(err.Error(), "is a file, not a socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(file); string(b) != "x" {
		t.Errorf("the file is gone: %v", err)
	}
}

// TestLargeHeader holds that a header too large is refused.
func TestLargeHeader(t *testing.T) {
	srv := newSystem(t, fleet).listen(t, config.Admin{})
	if r := send(t, srv, "GET", "/v1/status", "", header("X-Long", strings.Repeat("x", 32<<10))); r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header: got %d", r.status)
	}
}

func TestClosedEngine(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	s.eng.Close()
	r := send(t, srv, "GET", "/v1/services/shop.example.org", "")
	if r.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", r.status, r.body)
	}
	r.problemOf(t)
	if r = send(t, srv, "PUT", "/v1/freeze", `{"reason":"r","owner":"o"}`); r.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

// TestStrangeErrorsStayInside holds that what is no problem of ours is logged
// and not sent.
func TestStrangeErrorsStayInside(t *testing.T) {
	var log lockedBuffer
	s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
	rec := httptest.NewRecorder()
	s.write(rec, nil, os.ErrInvalid)
	var p Problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != 500 || strings.Contains(p.Detail, os.ErrInvalid.Error()) {
		t.Errorf("got %d %s, %v", rec.Code, rec.Body.String(), err)
	}
	if !strings.Contains(log.String(), os.ErrInvalid.Error()) {
		t.Errorf("not logged: %s", log.String())
	}
}
