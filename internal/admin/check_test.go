package admin

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// TestCheckIsBounded: what is compared costs what a file beside the one in use may
// cost, one at a time, and no more when nobody waits.
func TestCheckIsBounded(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	srv.checking <- struct{}{}
	if r := send(t, srv, "POST", "/v1/check", "version: 1\n"); r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("two at once: %d", r.status)
	}
	<-srv.checking
	if r := send(t, srv, "POST", "/v1/check", strings.Repeat("#", 1<<20+1)); r.status != 413 {
		t.Errorf("large: %d", r.status)
	}
	if r := send(t, srv, "POST", "/v1/check", strings.Repeat("#", 16<<20), chunked); r.status != 413 {
		t.Errorf("large without a length: %d", r.status)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, body := range hostile() {
		at := time.Now()
		r := send(t, srv, "POST", "/v1/check", body)
		if r.status != 200 || !strings.Contains(r.body, "failover.yaml:") || len(r.body) > 64<<10 {
			t.Errorf("%s: %d %.300s", name, r.status, r.body)
		}
		if took := time.Since(at); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	runtime.ReadMemStats(&after)
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 1024 {
		t.Errorf("%d MiB were made", made)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.eng.Against(ctx, s.eng.Load().Plan.Config); err == nil {
		t.Error("goes on though nobody waits")
	}
}

// TestCheckOfOneWhoLeft: a client that goes away in the middle of its body gives the
// place free.
func TestCheckOfOneWhoLeft(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c, err := net.Dial("unix", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nversion")); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	for len(srv.checking) == 0 {
		select {
		case <-deadline:
			t.Fatal("never began")
		default:
			runtime.Gosched()
		}
	}
	_ = c.Close()
	select {
	case srv.checking <- struct{}{}:
	case <-deadline:
		t.Error("the place is not free")
	}
}

func chunked(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} }

// hostile are small bodies that would become large.
func hostile() map[string]string {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+prev+",", 9) + "*" + prev + "]\n"
	}
	var product strings.Builder
	product.WriteString("monitors:\n")
	var names []string
	for i := range 300 {
		name := "m" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		names = append(names, name)
		product.WriteString("  " + name + ": {type: tcp, port: 1}\n")
	}
	product.WriteString("services:\n  a.example: {monitors: [" + strings.Join(names, ",") + "], pools: [{aws/x: [")
	for i := range 200 {
		product.WriteString(strings.Repeat(",", min(i, 1)) + "192.0." + string(rune('1'+i/100)) + "." + string(rune('0'+i/10%10)) + string(rune('0'+i%10)) + "")
	}
	product.WriteString("]}]}\n")
	return map[string]string{
		"aliases": bomb, "brackets": strings.Repeat("[", 1<<20), "braces": strings.Repeat("{", 1<<20),
		"dashes": strings.Repeat("- ", 1<<19), "commas": "a: [" + strings.Repeat("1,", 1<<19-4) + "]",
		"keys": "{" + strings.Repeat("a,", 1<<19-4) + "}", "a number": "version: " + strings.Repeat("9", 1<<20-20),
		"tags": strings.Repeat("!!a ", 1<<18), "products": product.String(), "returns": strings.Repeat("-\r", 1<<19),
	}
}
