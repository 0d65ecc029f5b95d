package consul

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// TestAServerThatSaysNull holds that a server which answers with nothing where there should
// be a value, an outcome or an error ends no resolver.
func TestAServerThatSaysNull(t *testing.T) {
	t.Parallel()
	for _, txn := range []string{`{"Results":[null]}`, `{"Errors":[null]}`, `null`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Index", "7")
			w.Header().Set("X-Consul-KnownLeader", "true")
			w.Header().Set("X-Consul-LastContact", "0")
			w.Header().Set("Content-Type", "application/json")
			switch {
			case strings.HasPrefix(r.URL.Path, "/v1/txn"):
				if strings.HasPrefix(txn, `{"Errors"`) {
					w.WriteHeader(http.StatusConflict)
				}
				fmt.Fprint(w, txn)
			case strings.HasPrefix(r.URL.Path, "/v1/session/create"):
				fmt.Fprint(w, `{"ID":"x"}`)
			default:
				fmt.Fprint(w, `[null]`)
			}
		}))
		defer server.Close()
		s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: server.URL}} })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_ = s.Publish(ctx, share.Opinion{Observer: "a", Zone: s.o.Zone, Boot: "b"})
		_ = s.Put(ctx, []share.Record{{Kind: share.Freeze, Target: "*", Version: share.Version{N: 1, Writer: "a"}, Value: []byte("{}")}})
		if r, err := s.Theirs(ctx); err != nil || len(r.Others) > 0 {
			t.Errorf("%s: %+v, %v", txn, r, err)
		}
		for what, read := range map[string]func(context.Context) error{
			"records": func(ctx context.Context) error { _, err := s.Records(ctx); return err },
			"uses":    func(ctx context.Context) error { _, err := s.Uses(ctx); return err },
			"kept":    func(ctx context.Context) error { _, err := s.Kept(ctx); return err },
		} {
			if err := read(ctx); err != nil {
				t.Errorf("%s: %s: %v", txn, what, err)
			}
		}
		if _, err := s.stores[0].forget("x"); err != nil && !strings.Contains(err.Error(), "consul") {
			t.Error(err)
		}
	}
}

// TestManySmallValues holds that an answer of millions of empty values is not decoded.
func TestManySmallValues(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "7")
		w.Header().Set("X-Consul-KnownLeader", "true")
		w.Header().Set("X-Consul-LastContact", "0")
		fmt.Fprint(w, "["+strings.Repeat("{},", 2*maxCommas)+"{}]")
	}))
	defer server.Close()
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: server.URL}} })
	if pairs, _, err := s.stores[0].query("x", 0); err == nil || !strings.Contains(err.Error(), errTooLong.Error()) {
		t.Errorf("%d values: %v", len(pairs), err)
	}
}

// TestClearingUpGoesOn holds that a server which fails ends no clearing up, and that one
// which does not allow it does.
func TestClearingUpGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		may    bool
	}{
		{http.StatusInternalServerError, "no leader", true},
		{http.StatusConflict, `{"Errors":[{"OpIndex":1,"What":"Permission denied"}]}`, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Index", "7")
			w.Header().Set("X-Consul-KnownLeader", "true")
			w.Header().Set("X-Consul-LastContact", "0")
			switch key, isKey := strings.CutPrefix(r.URL.Path, "/v1/kv/"); {
			case !isKey:
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			case strings.Contains(key, "/use/"):
				fmt.Fprintf(w, "[%q]", key+"gone")
			default:
				fmt.Fprint(w, "[]")
			}
		}))
		defer server.Close()
		s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: server.URL}} })
		if may := s.stores[0].clearOf(gone{"gone": time.Now().Add(-2 * goneLong)}); may != c.may {
			t.Errorf("after %d it goes on: %v", c.status, may)
		}
	}
}
