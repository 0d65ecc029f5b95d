package admin

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// TestWhoDoesNotReadTakesNoPlace holds that `status` answers beside more connections than
// there are places, whose peers ask for much and read nothing.
func TestWhoDoesNotReadTakesNoPlace(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{Listen: loopback()})
	req := []byte(strings.Repeat("GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 100))
	cl := http.Client{Timeout: 12 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 300 {
		c, err := net.Dial("tcp", srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.(*net.TCPConn).SetReadBuffer(2048); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(req); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		at := time.Now()
		r, err := cl.Get("http://" + srv.Addr() + "/v1/status")
		if err != nil {
			t.Fatalf("status %d: after %v: %v", n, time.Since(at).Round(time.Millisecond), err)
		}
		_ = r.Body.Close()
		t.Logf("status %d: after %v", n, time.Since(at).Round(time.Millisecond))
	}
}
