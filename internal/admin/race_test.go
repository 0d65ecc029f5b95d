package admin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/share"
)

// rumor is a store in which forty peers change what they say all the time.
type rumor struct {
	turn    atomic.Int64
	digests atomic.Pointer[[]uint32] // of the resolver's checks: peers judge the same
}

func (r *rumor) Publish(_ context.Context, o share.Opinion) error {
	r.digests.Store(&o.Buckets)
	return nil
}

func (r *rumor) Put(context.Context, []share.Record) error { return nil }

// next waits for a moment, so that readers leave the loop some time.
func (r *rumor) next(ctx context.Context) (int64, error) {
	select {
	case <-time.After(5 * time.Millisecond):
		return r.turn.Add(1), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (r *rumor) Theirs(ctx context.Context) (out share.Read, err error) {
	n, err := r.next(ctx)
	if d := r.digests.Load(); err == nil && d != nil {
		for i := range int64(40) {
			out.Others = append(out.Others, share.Opinion{
				Observer: fmt.Sprint("peer", i), Boot: fmt.Sprint((n + i) / 50), Zone: fmt.Sprint("onprem/z", i%3), Buckets: *d, Braked: (n+i)%9 == 0,
			})
		}
	}
	return out, err
}

func (r *rumor) Use(share.Use) error { return nil }

func (r *rumor) Uses(ctx context.Context) ([]share.Use, error) {
	n, err := r.next(ctx)
	var out []share.Use
	for i := range int64(40) {
		pools := []share.PoolUse{{Name: "aws/us-east-1", Used: (n+i)%2 == 0}, {Name: "gcp/europe-west1", Used: (n+i)%2 == 1}}
		out = append(out, share.Use{
			Observer: fmt.Sprint("peer", i), Zone: fmt.Sprint("onprem/z", i%3), Boot: "b",
			Services: []share.ServiceUse{{ID: share.ServiceID("db.example.org.", ""), Pools: pools}},
		})
	}
	return out, err
}

func (r *rumor) Records(ctx context.Context) ([]share.Record, error) {
	_, err := r.next(ctx)
	return nil, err
}

// calls has one request for each endpoint, most that change something with their
// opposite: "METHOD path body".
var calls = []string{
	"GET /v1/status", "GET /v1/services/shop.example.org", "GET /v1/explain?name=shop.example.org&all=1", "GET /v1/events?limit=50", "GET /v1/incidents?limit=50",
	"GET /v1/simulate?down=aws/us-east-1", `POST /v1/probe {"target":"shop.example.org"}`, "POST /v1/check " + "YAML", "GET /v1/overrides",
	"GET /v1/overrides/shop.example.org/203.0.113.7",
	`PUT /v1/overrides/shop.example.org/192.0.2.10 {"do":"drain","reason":"race","owner":"test","for":"1h"}`, "DELETE /v1/overrides/shop.example.org/192.0.2.10",
	`PUT /v1/freeze {"target":"solo.example.org","reason":"race","owner":"test","for":"1h"}`, "DELETE /v1/freeze?target=solo.example.org",
	`POST /v1/failback {"target":"db.example.org"}`, "GET /v1/guard", "DELETE /v1/guard/x.example.org", "POST /v1/guard/x.example.org", "GET /v1/openapi.json",
}

// Every endpoint is called at once, again and again, while peers change their
// minds, the configuration changes, and probes fail and pass. It runs in real time,
// for the race detector, and holds besides that no call is answered by a fault of
// this program.
func TestEverythingAtOnce(t *testing.T) {
	called := map[string]bool{}
	for _, c := range calls {
		method, rest, _ := strings.Cut(c, " ")
		for i := range api {
			if prefix, _, _ := strings.Cut(api[i].path, "{"); api[i].method == method && strings.HasPrefix(rest, prefix) {
				called[method+" "+api[i].path] = true
			}
		}
	}
	for i := range api {
		if !called[api[i].method+" "+api[i].path] {
			t.Errorf("%s %s is not called", api[i].method, api[i].path)
		}
	}
	runTogether(t)
}

func runTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "failover.yaml")
	yaml := "self: {name: r0, zone: onprem/z0}\nlimits: {reload_moves: 100%}\nstate: {dir: " + t.TempDir() + "}\n" + fleet
	load := func(text string) *config.Config {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	files := [2]*config.Config{load(yaml), load(strings.Replace(yaml, "fall: 1", "fall: 2", 1))}
	s := &system{}
	var err error
	if s.eng, err = engine.Start(engine.Options{Config: files[0], Log: slog.New(slog.DiscardHandler), Dial: s.world.dial, Share: new(rumor)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.eng.Close)
	dir, err := os.MkdirTemp("", "race") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	srv := s.listen(t, config.Admin{Listen: &url.URL{Scheme: "unix", Path: dir + "/s"}})
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	var wg sync.WaitGroup
	repeat := func(f func(n int)) {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				f(n)
			}
		})
	}
	for _, c := range calls {
		repeat(func(int) { s.call(ctx, t, srv.Addr(), c, yaml) })
	}
	repeat(func(n int) {
		if err := s.eng.Apply(files[n%2]); err != nil && ctx.Err() == nil {
			t.Errorf("reload: %v", err)
		}
		pause(ctx)
	})
	repeat(func(n int) {
		if n%2 == 0 {
			s.world.refuse("192.0.2.10", "192.0.2.20")
		} else {
			s.world.refuse()
		}
		pause(ctx)
	})
	wg.Wait()
}

func pause(ctx context.Context) {
	select {
	case <-time.After(150 * time.Millisecond):
	case <-ctx.Done():
	}
}

// call makes a request over the socket.
func (s *system) call(ctx context.Context, t *testing.T, socket, line, yaml string) {
	method, rest, _ := strings.Cut(line, " ")
	target, body, _ := strings.Cut(rest, " ")
	if body == "YAML" {
		body = yaml
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+target, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", line, err)
		}
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode == http.StatusInternalServerError {
		t.Errorf("%s: %s", line, text)
	}
}
