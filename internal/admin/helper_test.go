package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// world is what probes see: addresses that answer, refuse or say nothing.
type world struct {
	mu      sync.Mutex
	refuses map[string]bool
}

func (w *world) refuse(addrs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = map[string]bool{}
	for _, a := range addrs {
		w.refuses[a] = true
	}
}

func (w *world) dial(_ context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuses[to.Addr().String()] {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	a, b := net.Pipe()
	_ = b.Close()
	return a, nil
}

// fleet is the file that most tests share: three regions, one service in one
// region only, and one with a manual failback.
const fleet = `
version: 1
monitors:
  web: {type: tcp, port: 443, interval: 100ms, timeout: 100ms, confirm: 100ms, fall: 1, rise: 1}
services:
  shop.example.org:
    monitors: [web]
    pools: [{aws/us-east-1: [192.0.2.10, 192.0.2.11]}, {gcp/europe-west1: [198.51.100.7]}, {azure/westeurope: [203.0.113.7]}]
  db.example.org:
    monitors: [web]
    single_writer: true
    pools: [{aws/us-east-1: [192.0.2.20]}, {gcp/europe-west1: [198.51.100.20]}]
  solo.example.org:
    monitors: [web]
    pools: [{azure/westeurope: [203.0.113.30]}]
  "*.wild.example.org":
    policy: weighted
    monitors: [web]
    pools: [{aws/us-east-1: [192.0.2.40]}, {gcp/europe-west1: ["2001:db8::40", 198.51.100.40]}]
defaults: {hold_down: {step: 100ms}}
overrides:
  - {target: shop.example.org/203.0.113.7, do: up, reason: flaky health page, owner: git}
`

// system is an engine in a world of its own.
type system struct {
	world world
	eng   *engine.Engine
	log   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSystem(t *testing.T, yaml string) *system {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "failover.yaml")
	if err := os.WriteFile(path, []byte(yaml+"\nstate: {dir: "+filepath.Join(dir, "state")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatalf("the test's configuration:\n%v", err)
	}
	s := &system{}
	s.eng, err = engine.Start(engine.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Dial: s.world.dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.eng.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s.eng.Wait(ctx)
	return s
}

// loopback is an address by which dashboards ask.
func loopback() *url.URL { return &url.URL{Scheme: "tcp", Host: "127.0.0.1:0"} }

// listen serves the API: on a socket of its own, unless cfg says where.
func (s *system) listen(t *testing.T, cfg config.Admin, opts ...Option) *Server {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = &url.URL{Scheme: "unix", Path: filepath.Join(t.TempDir(), "a.sock")}
	}
	srv, err := Listen(cfg, s.eng, slog.New(slog.NewTextHandler(&s.log, nil)), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// send makes one request; each of change edits it.
func send(t *testing.T, srv *Server, method, path, body string, change ...func(*http.Request)) reply {
	t.Helper()
	base, tr := reachOf(srv)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// reachOf returns what requests to srv are made to, and with.
func reachOf(srv *Server) (base string, tr *http.Transport) {
	tr = &http.Transport{DisableKeepAlives: true}
	if srv.cfg.Listen.Scheme != "unix" {
		return "http://" + srv.Addr(), tr
	}
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", srv.Addr())
	}
	return "http://localhost", tr
}

// problemOf reads a problem and holds what every problem must have.
func (r reply) problemOf(t *testing.T) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	if r.header.Get("Content-Type") != "application/problem+json" || p.Status != r.status || p.Title == "" || p.Detail == "" {
		t.Errorf("no good problem: %d %v %s", r.status, r.header, r.body)
	}
	return p
}

func header(key, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(key, value) }
}

func host(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }

// client returns a client of srv.
func client(t *testing.T, srv *Server) *Client {
	t.Helper()
	addr := "http://" + srv.Addr()
	if srv.cfg.Listen.Scheme == "unix" {
		addr = srv.cfg.Listen.String()
	}
	c, err := NewClient(ClientOptions{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until the status is as ok wants it.
func eventually(t *testing.T, c *Client, what string, ok func(*Status) bool) *Status {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(15 * time.Second)
	for {
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			b, _ := json.MarshalIndent(s, "", " ")
			t.Fatalf("never %s:\n%s", what, b)
		}
	}
}
