package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// TestAccess: with the policies that we ship an observer can do what it must, and
// speak for no other one.
func TestAccess(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	policy := func(file, observer string) string {
		t.Helper()
		return kit.Policy(t, file, "test", "zone-"+observer, observer, "test")
	}
	join := func(name, token string) *Share {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return observe(t, name, func(o *Options) {
			o.Stores[0].TokenFile, o.Stores[0].CAFile = file, server.TLS.CA
			o.Stores[0].CertFile, o.Stores[0].KeyFile = server.TLS.Cert, server.TLS.Key
		}, server)
	}
	tokenA := server.Grant("a", policy("observer.hcl", "a"))
	a, b := join("a", tokenA), join("b", server.Grant("b", policy("observer.hcl", "b")))
	operator := join("operator", server.Grant("operator", policy("observer.hcl", "operator")+policy("operator.hcl", "")))
	publish(t, a, health.CauseTimeout)
	publish(t, b, health.CauseTimeout)
	hears(t, a, soon, "b timeout")

	thief := join("b2", tokenA)
	if err := thief.Publish(t.Context(), saying(thief, health.CauseTimeout)); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("a's token spoke for another observer: %v", err)
	}
	stranger := join("c", "00000000-0000-0000-0000-000000000000")
	if _, err := stranger.Theirs(t.Context()); err == nil {
		t.Error("a token that is not known may read")
	}
	rightful := server.Grant("c", policy("observer.hcl", "c"))
	if err := os.WriteFile(stranger.o.Stores[0].TokenFile, []byte(rightful), 0o600); err != nil {
		t.Fatal(err)
	}
	hears(t, stranger, 2*soon, "a timeout, b timeout")

	drain := share.Record{Kind: share.Override, Target: "aws/us-east-1", Version: share.Version{N: 1, Writer: "a"}}
	failback := share.Record{Kind: share.Failback, Target: "api.example.com", Version: share.Version{N: 1, Writer: "a"}}
	for _, r := range []share.Record{drain, failback} {
		if err := a.Put(t.Context(), []share.Record{r}); !errors.Is(err, ErrDenied) {
			t.Errorf("an observer may write a record that operators decide: %s: %v", r.Kind, err)
		}
	}
	saysUse(t, a, b)
	if done, err := a.stores[0].forget("gone"); done || !errors.Is(err, ErrDenied) {
		t.Errorf("a's token deletes what another left behind: %v, %v", done, err)
	}
	speaksOnlyForItself(t, server, tokenA)
	if err := operator.Put(t.Context(), []share.Record{drain}); err != nil {
		t.Errorf("an operator may not write: %v", err)
	}
	holds(t, b, "aws/us-east-1 1 a")
}

// speaksOnlyForItself holds that a's token may write each key of its own, and none of
// another observer, zone or kind.
func speaksOnlyForItself(t *testing.T, server *kit.ConsulServer, token string) {
	t.Helper()
	for key, may := range map[string]bool{
		"who/zone-a/a": true, "op/zone-a/a": true, "use/zone-a/a": true, "kept/zone-a/a/x": true,
		"who/zone-b/a": false, "who/zone-a/b": false, "who/zone-a/aa": false, "op/zone-b/a": false, "op/zone-a/b": false, "use/zone-a/b": false, "use/zone-b/a": false,
		"who/a": false, "ctl/override/x": false, "ctl/freeze/x": false, "ctl/failback/x": false, "ctl/in_use/x": false, "kept/zone-b/a/x": false, "kept/zone-a/b/x": false, "kept/zone-a/x": false, "other": false,
	} {
		if _, err := server.As(token, http.MethodPut, "/v1/kv/detour/test/v1/"+key, []byte("{}")); (err == nil) != may {
			t.Errorf("a's token writes %s: %v", key, err)
		}
	}
}

// saysUse has a say what it uses until b reads it.
func saysUse(t *testing.T, a, b *Share) {
	t.Helper()
	want := share.Use{Observer: "a", Zone: "zone-a", Boot: "B", Services: []share.ServiceUse{
		{ID: 7, Pools: []share.PoolUse{{Name: "aws/us-east-1", Out: true, Returning: true, Age: 40 * time.Second, Ejections: 2}, {Name: "gcp/europe-west1", Used: true}}},
		{ID: 9, Pools: []share.PoolUse{{Name: "aws/us-east-1", Used: true}}},
	}}
	if err := a.Use(want); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		list, err := b.Uses(ctx)
		if ctx.Err() != nil {
			t.Fatalf("b does not read what a uses: %+v, %v", list, err)
		}
		for _, u := range list {
			if u.Observer == "a" && len(u.Services) == 2 {
				u.Services[0].Pools[0].Age = u.Services[0].Pools[0].Age.Truncate(share.UseAgain)
				if !reflect.DeepEqual(u, want) {
					t.Errorf("read\n%+v, want\n%+v", u, want)
				}
				return
			}
		}
	}
}

// TestCanary: no error and no log line shows a token, whatever goes wrong.
func TestCanary(t *testing.T) {
	t.Parallel()
	const canary = "c0ffee00-dead-beef-c0de-123456789abc"
	plain := kit.Consul(t, kit.ConsulOptions{ACL: true})
	closed := kit.Consul(t, kit.ConsulOptions{TLS: true})
	file := filepath.Join(t.TempDir(), "token")
	torn := filepath.Join(t.TempDir(), "torn")
	for name, text := range map[string]string{file: canary, torn: canary + "\n" + canary} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	echo := teller(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "you said "+r.Header.Get("X-Consul-Token")+strings.Repeat(" and more", 1000)+"\x1b[2J", http.StatusInternalServerError)
	})
	away := teller(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, echo+r.URL.Path, http.StatusTemporaryRedirect)
	})
	for name, at := range map[string]Store{
		"unknown":    {Address: plain.URL, TokenFile: file},
		"not https":  {Address: strings.Replace(plain.URL, "http:", "https:", 1), TokenFile: file},
		"no CA":      {Address: closed.URL, TokenFile: file},
		"not there":  {Address: "127.0.0.1:1", TokenFile: file},
		"echo":       {Address: echo, TokenFile: file},
		"redirect":   {Address: away, TokenFile: file},
		"torn token": {Address: plain.URL, TokenFile: torn},
		"no file":    {Address: plain.URL, TokenFile: file + "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said kit.Output
			s := observe(t, "a", func(o *Options) {
				o.Stores, o.Log = []Store{at}, slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			_, err1 := s.Theirs(t.Context())
			err2 := s.Publish(t.Context(), saying(s, health.CauseTimeout))
			err3 := s.Put(t.Context(), []share.Record{{Kind: share.Freeze, Target: "*", Version: share.Version{N: 1, Writer: "a"}}})
			_, err4 := s.Records(t.Context())
			for _, err := range []error{err1, err2, err3, err4} {
				if err == nil {
					t.Error("no error")
				}
				said.Write(fmt.Appendf(nil, "%+v %#v\n", err, err)) //nolint:errcheck // to a buffer
			}
			if text := said.String(); strings.Contains(text, canary) || strings.Contains(text, "\x1b") || len(text) > 20_000 {
				t.Errorf("said: %.3000s", text)
			} else {
				t.Log(err1)
			}
		})
	}
}
