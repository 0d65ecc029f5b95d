package admin

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/steer"
)

// TestRevokedFollower: a token that is taken back ends what it began.
func TestRevokedFollower(t *testing.T) {
	s := newSystem(t, fleet)
	path := write(t, "tokens", "dash read "+tokenA+"\n")
	srv := s.listen(t, config.Admin{Listen: loopback(), TokenFile: path})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+srv.Addr()+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenA)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := os.WriteFile(path, []byte("other read "+tokenB+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.eng.PutFreeze(steer.Freeze{Until: time.Now().Add(time.Hour), Reason: "r", Owner: "o"}, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("it goes on: %v", err)
	}
}
