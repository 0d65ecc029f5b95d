package admin

import (
	"net/http"
	"testing"

	"github.com/detour-dns/detour/config"
)

// TestACrowdOfQuestions holds that who may only ask gets so many answers at once, and
// that nobody of them is in the way of those who operate.
func TestACrowdOfQuestions(t *testing.T) {
	s := newSystem(t, fleet)
	open, socket := s.listen(t, config.Admin{Listen: loopback()}), s.listen(t, config.Admin{})
	for _, srv := range []*Server{open, socket} {
		for range maxAsking {
			srv.asking <- struct{}{}
		}
	}
	if r := send(t, open, http.MethodGet, "/v1/simulate?down=aws/us-east-1", ""); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("one question more gets %d %s", r.status, r.body)
	}
	if r := send(t, socket, http.MethodGet, "/v1/status", ""); r.status != http.StatusOK {
		t.Errorf("an operator gets %d %s", r.status, r.body)
	}
	<-open.asking
	for range 3 * maxAsking {
		if r := send(t, open, http.MethodGet, "/v1/status", ""); r.status != http.StatusOK {
			t.Fatalf("in its turn a question gets %d %s", r.status, r.body)
		}
	}
}

// TestProbesOfWhoMayOnlyAsk holds that who may only ask neither floods what is probed nor
// the log.
func TestProbesOfWhoMayOnlyAsk(t *testing.T) {
	s := newSystem(t, fleet)
	open, socket := s.listen(t, config.Admin{Listen: loopback()}), s.listen(t, config.Admin{})
	refused := map[*Server]int{}
	for _, srv := range []*Server{open, socket} {
		for range 2 * burst {
			r := send(t, srv, http.MethodPost, "/v1/probe", `{"target":"self"}`)
			if r.status == http.StatusTooManyRequests {
				refused[srv]++
			}
		}
	}
	if refused[open] < burst/2 || refused[socket] > 0 {
		t.Errorf("of %d probes %d are refused to who may only ask, %d to an operator", 2*burst, refused[open], refused[socket])
	}
}
