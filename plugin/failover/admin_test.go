package failover

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// TestAdminAddress holds that a taken address stops nothing, is said once, is
// used once it is free, and given up when failover.yaml says off.
func TestAdminAddress(t *testing.T) {
	f := handler(t, `services: {a.example.org: {monitors: [web], pools: [{aws/x: [192.0.2.1]}]}}`, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := &adminAPI{shared: f.shared, log: slog.New(slog.NewTextHandler(&log, nil))}
	want := config.Admin{Listen: &url.URL{Scheme: "tcp", Host: taken.Addr().String()}}
	for range 3 {
		a.follows(want)
	}
	if n := strings.Count(log.String(), "unavailable"); n != 1 || a.server != nil {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	a.follows(want)
	if n := strings.Count(log.String(), "admin API available"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	reach := func() bool {
		resp, err := http.Get("http://" + want.Listen.Host + "/v1/status")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !reach() {
		t.Error("not there")
	}
	a.follows(config.Admin{Off: true})
	a.follows(config.Admin{Off: true})
	if reach() {
		t.Error("still there")
	}
}
