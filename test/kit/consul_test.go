package kit

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

// TestConsul proves that the server is one: it forgets nothing at a restart,
// hangs when it is told to, and returns to a snapshot.
func TestConsul(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ConsulOptions{
		"plain": {}, "closed": {ACL: true, TLS: true, Datacenter: "frankfurt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Consul(t, o)
			s.Do(http.MethodPut, "/v1/kv/a", []byte("old"))
			snapshot := s.Snapshot()
			s.Do(http.MethodPut, "/v1/kv/a", []byte("new"))
			s.Stop()
			s.Start()
			if got := s.Do(http.MethodGet, "/v1/kv/a?raw", nil); !bytes.Equal(got, []byte("new")) {
				t.Errorf("after a restart a is %q", got)
			}
			s.Restore(snapshot)
			if got := s.Do(http.MethodGet, "/v1/kv/a?raw", nil); !bytes.Equal(got, []byte("old")) {
				t.Errorf("after a restore a is %q", got)
			}
			s.Pause()
			s.client.Timeout = 200 * time.Millisecond
			if _, err := s.try(http.MethodGet, "/v1/kv/a?raw", nil); err == nil {
				t.Error("a server that was paused answers")
			}
			s.client.Timeout = 10 * time.Second
			s.Resume()
			s.Do(http.MethodGet, "/v1/kv/a?raw", nil)
			if o.ACL {
				s.Token = s.Grant("none", "")
				if _, err := s.try(http.MethodPut, "/v1/kv/a", nil); err == nil {
					t.Error("who has no rights may write")
				}
			}
		})
	}
}
