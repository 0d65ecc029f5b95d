package consul

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// teller is a server that says what a real one would say only on a bad day.
func teller(t *testing.T, say http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(say)
	t.Cleanup(s.Close)
	return s.URL
}

// answer writes values as Consul does.
func answer(w http.ResponseWriter, index int, leader string, contact int, values map[string]string) {
	h := w.Header()
	h.Set("X-Consul-Index", fmt.Sprint(index))
	h.Set("X-Consul-KnownLeader", leader)
	h.Set("X-Consul-LastContact", fmt.Sprint(contact))
	if len(values) == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var pairs []string
	for key, value := range values {
		session := "s"
		if strings.HasSuffix(key, "/loose") {
			session = ""
		}
		pairs = append(pairs, fmt.Sprintf(`{"Key":%q,"Session":%q,"Value":%q}`, key, session, base64.StdEncoding.EncodeToString([]byte(value))))
	}
	_, _ = fmt.Fprintf(w, "[%s]", strings.Join(pairs, ","))
}

// TestNotFresh: what a server itself does not hold for the present is not believed.
func TestNotFresh(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		say  http.HandlerFunc
		want string
	}{
		"no leader":  {func(w http.ResponseWriter, _ *http.Request) { answer(w, 5, "false", 0, nil) }, "no leader"},
		"cut off":    {func(w http.ResponseWriter, _ *http.Request) { answer(w, 5, "true", 5001, nil) }, "heard its leader 5s ago"},
		"no headers": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }, "no leader"},
		"filtered": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
			answer(w, 5, "true", 0, nil)
		}, "may not read"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Consul-KnownLeader", "true")
			_, _ = w.Write([]byte("<html>"))
		}, "invalid character"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`["`))
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: teller(t, c.say)}} })
			if r, err := s.Theirs(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("read %+v, %v; want an error with %q", r, err, c.want)
			}
			if _, err := s.Records(t.Context()); err == nil {
				t.Error("records were believed")
			}
		})
	}
}

// TestIndexRules: an index that goes down, or is none, starts reading anew, and
// queries stay apart whatever the server says.
func TestIndexRules(t *testing.T) {
	t.Parallel()
	var asked []string
	var last time.Time
	var n atomic.Int32
	url := teller(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/op/") {
			answer(w, 1, "true", 0, nil)
			return
		}
		i := int(n.Load())
		indexes := []int{9, 12, 4, 0, 6, 6}
		if !last.IsZero() && time.Since(last) < apart-50*time.Millisecond {
			t.Errorf("asked again after %s", time.Since(last))
		}
		last = time.Now()
		if i < len(indexes) {
			asked = append(asked, r.URL.Query().Get("index"))
			answer(w, indexes[i], "true", 0, map[string]string{"detour/test/v1/op/z/b": "odd"})
			n.Add(1)
			return
		}
		<-r.Context().Done()
	})
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: url}} })
	if _, err := s.Theirs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := kit.Every(10*time.Millisecond, 10*time.Second, func() bool { return n.Load() == 6 }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked, " "); got != " 9 12   6" {
		t.Errorf("indexes asked with are %q", got)
	}
}

// TestForeignValues: what others put under our keys is ignored, counted, and costs
// nobody else a voice.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	const base = "detour/test/v1/"
	who, op := map[string]string{base + "who/": "x", base + "who/z/b": `{"boot":"x","assigned_seq":1}`, base + "who/z/loose": `{"boot":"x"}`}, map[string]string{
		base + "op/z/b": `{"boot":"x","seq":1,"assigned_seq":1}`, base + "op/z/loose": `{"boot":"x","seq":1}`, base + "op/z/b/c": `{"boot":"x"}`, base + "op/c": "\x00", base + "op/z/d": strings.Repeat("[", maxOp),
	}
	url := teller(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("index") != "":
			<-r.Context().Done()
		case strings.Contains(r.URL.Path, "/who/"):
			answer(w, 5, "true", 0, who)
		default:
			answer(w, 5, "true", 0, op)
		}
	})
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: url}} })
	r := hears(t, s, soon, "b")
	if r.Stores[0].Odd != 6 {
		t.Errorf("%d values are odd, want 6", r.Stores[0].Odd)
	}
}

// TestSocket: an agent may listen on a path only.
func TestSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "consul")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, 5, "true", 0, nil) }))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: "unix://" + path}} })
	if r, err := s.Theirs(t.Context()); err != nil || r.Stores[0].Name != "consul "+path {
		t.Errorf("read %+v, %v", r, err)
	}
}

// TestBounds: no more is believed than there can be, whoever writes more.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: "127.0.0.1:1"}} })
	var ops, records api.KVPairs
	for i := range maxObservers + 2 {
		ops = append(ops, &api.KVPair{Key: fmt.Sprint(s.keys.base, "op/crowd/o", i), Session: "s", Value: []byte(`{"boot":"x","seq":1}`)})
	}
	ops = append(ops, &api.KVPair{Key: s.keys.base + "op/quiet/z", Session: "s", Value: []byte(`{"boot":"x","seq":1}`)})
	for i := range maxRecords + 3 {
		value, err := encodeRecord(&share.Record{Kind: share.Freeze, Target: fmt.Sprint(i), Version: share.Version{N: 1, Writer: "w"}})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, &api.KVPair{Key: fmt.Sprint(s.keys.base, "ctl/freeze/", i), Value: value})
	}
	if entries, odd := s.stores[0].sift(inOp, nil, ops); len(entries) != maxObservers+1 || odd != 2 || entries["quiet/z"].op == nil {
		t.Errorf("%d observers are believed, %d not, the other zone's: %v", len(entries), odd, entries["quiet/z"].op)
	}
	early, _ := s.stores[0].sift(inOp, nil, ops[5:])
	flood := append(slices.Clone(ops[5:]), ops[:5]...) // five more, whose names come first
	for i := range 5 {
		flood = append(api.KVPairs{{Key: fmt.Sprint(s.keys.base, "op/crowd/aaa", i), Session: "s", Value: ops[0].Value}}, flood...)
	}
	if entries, _ := s.stores[0].sift(inOp, early, flood); len(entries) != maxObservers+1 || entries["crowd/o65"].op == nil || entries["crowd/o5"].op == nil {
		t.Error("newcomers took the places of observers who were there")
	}
	if entries, odd := s.stores[0].sift(inCtl, nil, records); len(entries) != maxRecords || odd != 3 {
		t.Errorf("%d records are believed, %d not", len(entries), odd)
	}
}

// TestOldReads: what one store said long ago does not count beside another that
// answers.
func TestOldReads(t *testing.T) {
	t.Parallel()
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: "127.0.0.1:1"}, {Address: "127.0.0.1:2"}} })
	now := time.Now()
	for i, who := range []string{"old", "new"} {
		at := []time.Time{now.Add(-lasting - time.Second), now.Add(-lasting + time.Second)}[i]
		seen := see(who, "x", 1, 1, 1)
		who = "z/" + who
		s.stores[i].parts[inWho] = part{at: now, good: 1, entries: map[string]entry{who: {who: seen.who}}}
		s.stores[i].parts[inOp] = part{at: at, good: 1, entries: map[string]entry{who: {op: seen.op}}}
	}
	if got := s.sightings(now); len(got) != 1 || got[0].observer != "new" {
		t.Errorf("seen are %+v", got)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	at := []Store{{Address: "127.0.0.1:8500"}}
	for name, o := range map[string]Options{
		"no cluster":  {Observer: "a", Stores: at},
		"a path":      {Cluster: "a/b", Observer: "a", Stores: at},
		"no observer": {Cluster: "c", Stores: at},
		"no store":    {Cluster: "c", Observer: "a"},
		"too many":    {Cluster: "c", Observer: "a", Stores: make([]Store, maxStores+1)},
		"a password":  {Cluster: "c", Observer: "a", Stores: []Store{{Address: "http://user:secret@host"}}},
		"no address":  {Cluster: "c", Observer: "a", Stores: []Store{{}}},
		"a scheme":    {Cluster: "c", Observer: "a", Stores: []Store{{Address: "ftp://host"}}},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := observe(t, "a", func(o *Options) { o.Stores = at })
	if err := s.Publish(t.Context(), share.Opinion{Observer: "b", Boot: "x"}); err == nil {
		t.Error("another observer's opinion was published")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: "unix:///nowhere"}} }).Records(ctx); err == nil {
		t.Error("a call that was given up succeeded")
	}
}

// TestOddIsToldRarely: whoever may write could fill the log with values that come and
// go.
func TestOddIsToldRarely(t *testing.T) {
	t.Parallel()
	var log kit.Output
	s := observe(t, "a", func(o *Options) {
		o.Stores = []Store{{Address: "127.0.0.1:1"}}
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	odd := api.KVPairs{{Key: s.keys.base + "op/z/b", Session: "s", Value: []byte("odd")}}
	for range 50 {
		s.stores[0].deliver(inOp, time.Now(), odd, nil)
		s.stores[0].deliver(inOp, time.Now(), nil, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := strings.Count(log.String(), "are ignored"); n != 1 {
		t.Errorf("told %d times: %s", n, log.String())
	}
}
