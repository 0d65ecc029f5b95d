package consul

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
)

// world is a Source that runs against a fake.
type world struct {
	t       *testing.T
	fake    *fake
	mu      sync.Mutex
	updates []Update
}

const oneService = "sources: [{consul: {services: {web: {}}}}]\n"

// run runs test with a Source of a configuration in simulated time.
func run(t *testing.T, yaml string, known source.Catalog, f *fake, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, err := config.Parse("f.yaml", []byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, fake: f}
		w.fake.change = make(chan struct{}) // of this bubble
		s := New(cfg, 0)
		s.client.trips = w.fake
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Run(ctx, known, func(u Update) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.updates = append(w.updates, u)
			})
		}()
		w.pass(time.Second)
		test(w)
		cancel()
		<-ended
	})
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	<-ctx.Done()
	synctest.Wait()
}

func (w *world) last() Update {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.updates) == 0 {
		w.t.Fatal("no update")
	}
	return w.updates[len(w.updates)-1]
}

func (w *world) all() []Update {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.updates)
}

func (w *world) told() int { return len(w.all()) }

func (w *world) want(when, list string) {
	w.t.Helper()
	if got := seen(w.last().Entry.Instances); got != list {
		w.t.Errorf("%s: %s, want %s", when, got, list)
	}
}

func TestFollow(t *testing.T) {
	f := newFake()
	f.set("web", 1, 2)
	run(t, oneService, nil, f, func(w *world) {
		if u := w.last(); u.Service != "web.service.consul." || !u.Places || u.Err != nil || u.Entry.At().IsZero() {
			t.Errorf("%+v", u)
		}
		w.want("at first", "1 2")
		f.set("web", 2)
		w.pass(time.Second)
		w.want("a second after a change", "2")
		n := w.told()
		w.pass(time.Hour)
		if quiet := w.told() - n; quiet < 11 || quiet > 16 {
			t.Errorf("%d answers in a quiet hour, want one in 4 to 5 minutes and a sixteenth", quiet)
		}
		if u := w.last(); u.Places || u.Status || u.Err != nil {
			t.Errorf("nothing changed, but %+v", u)
		}
		for i, q := range f.queries() {
			if !q.Has("stale") || (i > 0) != q.Has("index") {
				t.Errorf("query %d is %v", i, q)
			}
		}
	})
}

// TestAway: whatever is wrong with Consul, the last known set stays, and queries
// thin out.
func TestAway(t *testing.T) {
	old := func(*http.Request) *http.Response {
		r := reply(99, "["+element(`"Address":"192.0.2.9"`)+"]")
		r.Header.Set("X-Consul-LastContact", "60000")
		return r
	}
	for name, c := range map[string]struct {
		broken func(*http.Request) *http.Response
		err    string
	}{
		"errors":          {status(500, "No cluster leader"), "consul answers 500: No cluster leader"},
		"no rights":       {status(403, "Permission denied: token with AccessorID 'x' lacks"), "consul answers 403: Permission denied"},
		"too many":        {status(429, "secret"), "consul answers 429: Too Many Requests"},
		"a redirect":      {status(302, ""), "consul answers 302: Found"},
		"another server":  {status(200, "[]"), errNotConsul.Error()},
		"half an answer":  {func(*http.Request) *http.Response { return reply(99, `[{"Node":`) }, "the answer breaks off: unexpected EOF"},
		"a hang":          {func(*http.Request) *http.Response { return nil }, errSilent.Error()},
		"an old answer":   {old, errOld.Error()},
		"no index":        {func(*http.Request) *http.Response { return reply(0, `[]`) }, errNoIndex.Error()},
		"a broken header": {func(*http.Request) *http.Response { r := reply(9, `[]`); r.Header.Set("X-Consul-Index", "x"); return r }, errNotConsul.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.set("web", 1, 2)
			run(t, oneService, nil, f, func(w *world) {
				before := w.last().Entry.At()
				f.fail(c.broken)
				w.pass(time.Hour)
				u := w.last()
				if u.Err == nil || u.Err.Error() != c.err || !u.Entry.At().Equal(before) || u.Places {
					t.Errorf("%+v", u)
				}
				w.want("while Consul is away", "1 2")
				if n := len(f.queries()); n > 260 || n < 10 {
					t.Errorf("%d queries in an hour", n)
				}
				f.back(50)
				f.set("web", 3)
				w.pass(longWait + longWait/16 + slack + lastPause)
				w.want("when it is back", "3")
			})
		})
	}
}

func TestAHangIsNoticed(t *testing.T) {
	f := newFake()
	f.set("web", 1)
	run(t, oneService, nil, f, func(w *world) {
		n := w.told()
		f.fail(func(*http.Request) *http.Response { return nil })
		w.pass(longWait + longWait/16 + slack + time.Second)
		if w.told() == n || w.last().Err == nil {
			t.Error("a server that hangs is not noticed")
		}
	})
}

// TestEmptied: an empty record takes nothing away at once, and never all.
func TestEmptied(t *testing.T) {
	f := newFake()
	f.set("web", 1, 2)
	run(t, oneService, nil, f, func(w *world) {
		f.set("web")
		w.pass(time.Second)
		w.want("a second after", "1! 2!")
		if u := w.last(); u.Places || !u.Status || u.Err != nil {
			t.Errorf("%+v", u)
		}
		n := len(f.queries())
		w.pass(15 * time.Second)
		if len(f.queries()) == n {
			t.Error("an empty answer is not asked again soon")
		}
		w.pass(time.Hour)
		if n = len(f.queries()) - n; n > 30 {
			t.Errorf("%d queries in an hour in which nothing changes", n)
		}
		f.set("other", 9)
		w.pass(24 * time.Hour)
		w.want("a day after", "1! 2!")
		f.set("web", 2)
		w.pass(time.Second)
		w.want("when one is back", "2")
	})
}

func TestAnEmptyAnswerIsAskedAgainSoon(t *testing.T) {
	const two = "sources: [{consul: {datacenters: {dc1: a/b, dc2: c/d}, services: {web: {}}}}]\n"
	f := newFake()
	f.set("web dc1", 1)
	f.set("web dc2", 2)
	run(t, two, nil, f, func(w *world) {
		w.want("at first", "1 2")
		f.set("web dc1")
		w.pass(9 * time.Second)
		w.want("9 s after", "1! 2")
		f.set("other", 9)
		w.pass(500 * time.Millisecond)
		w.want("a later index, too soon", "1! 2")
		f.set("other", 8)
		w.pass(5 * time.Second)
		w.want("another", "1! 2")
		f.set("other", 7)
		w.pass(time.Second)
		w.want("ten seconds later", "2")
	})
}

// TestAfterARestart: what was known counts, and an empty catalog does not.
func TestAfterARestart(t *testing.T) {
	known := source.Catalog{"web.service.consul.": {Instances: found("", 1, 2), Read: map[string]time.Time{"": t0}}}
	run(t, oneService, known, newFake(), func(w *world) {
		w.want("Consul knows nothing", "1! 2!")
	})
	f := newFake()
	f.fail(status(500, ""))
	run(t, oneService, known, f, func(w *world) {
		w.want("Consul is away", "1 2")
		if !w.last().Entry.At().Equal(t0) {
			t.Errorf("the age is lost: %v", w.last().Entry.At())
		}
	})
}

func TestARestoredSnapshot(t *testing.T) {
	f := newFake()
	f.set("web", 1, 2)
	run(t, oneService, nil, f, func(w *world) {
		f.mu.Lock()
		f.of["web"], f.index = nil, 3
		f.wake()
		f.mu.Unlock()
		w.pass(5 * time.Second)
		w.want("a restored snapshot without the service", "1! 2!")
		if q := f.queries(); !slices.ContainsFunc(q[1:], func(v url.Values) bool { return !v.Has("index") }) {
			t.Error("it was never read from 0")
		}
		f.set("web", 1)
		w.pass(time.Second)
		w.want("and then with one", "1")
	})
}

func TestWhatIsAsked(t *testing.T) {
	f := newFake()
	run(t, "sources: [{consul: {datacenters: {dc1: a/b}, services: {'we/b?': {name: web.example.org, namespace: n, partition: p, peer: c}}}}]\n", nil, f, func(*world) {
		q := f.queries()[0]
		if q.Get("dc") != "dc1" || q.Get("ns") != "n" || q.Get("partition") != "p" || q.Get("peer") != "c" || !q.Has("stale") {
			t.Errorf("%v", q)
		}
	})
	if got := (&query{service: "we/b?"}).path(); got != "/v1/health/service/we%2Fb%3F?near=_agent&stale=" {
		t.Errorf("path %s", got)
	}
	if got := (&query{service: "a", fresh: true}).path(); got != "/v1/health/service/a?near=_agent" {
		t.Errorf("path of a query to the leader %s", got)
	}
}

// TestManyServices: connections are bounded, and everything has its turn.
func TestManyServices(t *testing.T) {
	f := newFake()
	var yaml strings.Builder
	for i := range 3 * maxAtOnce {
		fmt.Fprintf(&yaml, "s%d: {}, ", i)
		f.set(fmt.Sprint("s", i), i%250)
	}
	run(t, "sources: [{consul: {services: {"+yaml.String()+"}}}]\n", nil, f, func(w *world) {
		w.pass(2 * roundTrip)
		services := map[string]int{}
		for _, u := range w.all() {
			services[u.Service]++
		}
		for name, n := range services {
			if n < 2 {
				t.Fatalf("%s has had no second turn", name)
			}
		}
		f.set("s7", 251)
		w.pass(2 * roundTrip)
		changed := slices.ContainsFunc(w.all(), func(u Update) bool { return seen(u.Entry.Instances) == "251" })
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(services) != 3*maxAtOnce || !changed || f.most > maxAtOnce {
			t.Errorf("%d services told of, change seen %v, %d connections at once", len(services), changed, f.most)
		}
	})
}
