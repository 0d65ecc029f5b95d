package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// soon is how long something may take that happens at once.
const soon = 5 * time.Second

// observe returns an observer that waits less long than others, and leaves at the end of the test.
func observe(t *testing.T, name string, change func(*Options), servers ...*kit.ConsulServer) *Share {
	t.Helper()
	o := Options{Cluster: "test", Observer: name, Zone: "zone-" + name}
	for i, s := range servers {
		o.Stores = append(o.Stores, Store{Name: fmt.Sprint("consul ", i), Address: s.URL})
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.wait = 2 * time.Second
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// saying returns an opinion of one check.
func saying(s *Share, cause health.Cause) share.Opinion {
	return share.Opinion{
		Observer: s.o.Observer, Boot: "BOOT" + s.o.Observer, Zone: s.o.Zone,
		Judged: []share.Judged{{ID: 1, Verdict: health.Down, Cause: cause}},
	}
}

func publish(t *testing.T, s *Share, cause health.Cause) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
	defer cancel()
	if err := s.Publish(ctx, saying(s, cause)); err != nil {
		t.Fatalf("%s does not publish: %v", s.o.Observer, err)
	}
}

// hears waits until s reads what is wanted: "b timeout, c refused".
func hears(t *testing.T, s *Share, limit time.Duration, want string) share.Read {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	last := "nothing was read"
	for {
		r, err := s.Theirs(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%s does not hear %q within %s, last: %s", s.o.Observer, want, limit, last)
		}
		if err != nil {
			last = err.Error()
			continue
		}
		var said []string
		for _, o := range r.Others {
			text := o.Observer
			for _, j := range o.Judged {
				text += " " + j.Cause.String()
			}
			said = append(said, text)
		}
		if last = strings.Join(said, ", "); last == want {
			return r
		}
	}
}

// stored returns the indexes of all keys, by key.
func stored(t *testing.T, server *kit.ConsulServer) map[string]int {
	t.Helper()
	var pairs []struct {
		Key         string
		ModifyIndex int
	}
	if err := json.Unmarshal(server.Do(http.MethodGet, "/v1/kv/detour?recurse", nil), &pairs); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, p := range pairs {
		out[p.Key] = p.ModifyIndex
	}
	return out
}

// TestTwoObservers: each hears the other, at rest nothing is written, and who leaves
// is gone at once.
func TestTwoObservers(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a, b := observe(t, "a", nil, server), observe(t, "b", nil, server)
	publish(t, a, health.CauseTimeout)
	publish(t, b, health.CauseRefused)
	r := hears(t, a, soon, "b refused")
	if o := r.Others[0]; o.Zone != "zone-b" || o.Boot != "BOOTb" || o.Assigned != nil || o.Braked {
		t.Errorf("b is read as %+v", o)
	}
	hears(t, b, soon, "a timeout")
	began := time.Now()
	publish(t, b, health.CauseStatus)
	hears(t, a, soon, "b status")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a change is heard after %s", took)
	} else {
		t.Logf("a change is heard after %s", took.Round(time.Millisecond))
	}

	before := stored(t, server)
	if len(before) != 4 {
		t.Errorf("two observers keep %v", before)
	}
	for range 4 { // the session is renewed, and reads end on their own
		publish(t, a, health.CauseTimeout)
		r = hears(t, a, soon, "b status")
	}
	if after := stored(t, server); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("at rest %v became %v", before, after)
	}
	if st := r.Stores[0]; st.Writes != 1 || st.Bytes == 0 || st.Odd != 0 || st.Error != "" || time.Since(st.At) > soon {
		t.Errorf("the store is %+v", st)
	}

	began = time.Now()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	hears(t, a, soon, "")
	t.Logf("who leaves is gone after %s", time.Since(began).Round(time.Millisecond))
	if err := b.Publish(t.Context(), saying(b, health.CauseTimeout)); err == nil {
		t.Error("who left may publish")
	}
	if _, err := b.Theirs(t.Context()); err == nil {
		t.Error("who left may read")
	}
}

// TestHungObserver: one whose probes stand still vanishes, and comes back.
func TestHungObserver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 25 s: a session lasts so long")
	}
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	var hung atomic.Bool
	a := observe(t, "a", nil, server)
	b := observe(t, "b", func(o *Options) { o.Alive = func() bool { return !hung.Load() } }, server)
	publish(t, b, health.CauseTimeout)
	hears(t, a, soon, "b timeout")
	hung.Store(true)
	began := time.Now()
	hears(t, a, 25*time.Second, "")
	t.Logf("who hangs is gone after %s", time.Since(began).Round(100*time.Millisecond))
	if err := b.Publish(t.Context(), saying(b, health.CauseRefused)); err == nil {
		t.Error("an observer whose probes stand still published")
	}
	hung.Store(false)
	hears(t, a, 2*soon, "b refused")
}

// TestNameTaken: a second observer of one name is told, and takes over when the
// first is gone.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	one, two, reader := observe(t, "a", nil, server), observe(t, "a", nil, server), observe(t, "r", nil, server)
	publish(t, one, health.CauseTimeout)
	other := saying(two, health.CauseRefused)
	other.Boot = "OTHER"
	if err := two.Publish(t.Context(), other); err == nil || !strings.Contains(err.Error(), "the same name") {
		t.Errorf("a second observer of one name is told %v", err)
	}
	hears(t, reader, soon, "a timeout")
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	hears(t, reader, 2*soon, "a refused")
}

// TestHungServer: a server that takes connections and says nothing is noticed
// within 15 s, and heard again when it speaks.
func TestHungServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s: reading waits so long")
	}
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a, b := observe(t, "a", nil, server), observe(t, "b", nil, server)
	a.wait = waitTime
	publish(t, a, health.CauseTimeout)
	publish(t, b, health.CauseTimeout)
	hears(t, a, soon, "b timeout")
	server.Pause()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	r, err := a.Theirs(ctx)
	if err == nil { // a read that ended just before
		r, err = a.Theirs(ctx)
	}
	if ctx.Err() != nil || err == nil || len(r.Stores) != 1 || r.Stores[0].Error == "" {
		t.Errorf("a hung server reads as %+v, %v after %s", r, err, time.Since(began))
	}
	t.Logf("noticed after %s: %v", time.Since(began).Round(time.Millisecond), err)
	if err := a.Publish(t.Context(), saying(a, health.CauseRefused)); err == nil {
		t.Error("a hung server took an opinion")
	}
	server.Resume()
	began = time.Now()
	hears(t, a, 2*soon, "b timeout")
	t.Logf("heard again after %s", time.Since(began).Round(time.Millisecond))
	hears(t, b, 2*soon, "a refused")
}

// TestRestore: a store that goes back in time, and to lower indexes, brings back
// neither what observers held before nor who left.
func TestRestore(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a, b, c := observe(t, "a", nil, server), observe(t, "b", nil, server), observe(t, "c", nil, server)
	publish(t, a, health.CauseTimeout)
	empty := server.Snapshot()
	publish(t, b, health.CauseTimeout)
	publish(t, c, health.CauseTimeout)
	old := server.Snapshot()
	publish(t, b, health.CauseRefused)
	hears(t, a, soon, "b refused, c timeout")
	server.Restore(old)
	hears(t, a, soon, "b refused, c timeout")
	settle := func() error {
		return kit.Every(100*time.Millisecond, 30*time.Second, func() bool {
			return bytes.Contains(server.Do(http.MethodGet, "/v1/kv/detour/test/v1/op/zone-b/b?raw", nil), []byte("refused"))
		})
	}
	began := time.Now()
	hold := make(chan struct{})
	go func() { // b mends only what it reads
		defer close(hold)
		for b.ctx.Err() == nil {
			_, _ = b.Theirs(b.ctx)
		}
	}()
	if err := settle(); err != nil {
		t.Error("what b holds is not in the store again:", err)
	}
	t.Logf("written again after %s", time.Since(began).Round(100*time.Millisecond))
	server.Restore(empty)
	hears(t, a, 2*soon, "b refused, c timeout")
	_ = b.Close(t.Context())
	<-hold
	hears(t, a, soon, "c timeout")
}

// TestTwoDatacenters: one of them is enough, and one that was away is brought up to
// date.
func TestTwoDatacenters(t *testing.T) {
	t.Parallel()
	one, two := kit.Consul(t, kit.ConsulOptions{}), kit.Consul(t, kit.ConsulOptions{Datacenter: "dc2"})
	a, b := observe(t, "a", nil, one, two), observe(t, "b", nil, one, two)
	publish(t, a, health.CauseTimeout)
	publish(t, b, health.CauseTimeout)
	hears(t, a, soon, "b timeout")
	two.Stop()
	publish(t, b, health.CauseRefused)
	r := hears(t, a, soon, "b refused")
	if err := kit.Every(10*time.Millisecond, soon, func() bool {
		r = hears(t, a, soon, "b refused")
		return r.Stores[1].Error != ""
	}); err != nil || r.Stores[0].Error != "" {
		t.Errorf("stores are %+v", r.Stores)
	}
	record := share.Record{Kind: share.Freeze, Target: "*", Version: share.Version{N: 1, Writer: "a"}}
	if err := a.Put(t.Context(), []share.Record{record}); err != nil {
		t.Error(err)
	}
	two.Start()
	if err := kit.Every(100*time.Millisecond, 4*soon, func() bool { return len(stored(t, two)) == 4 }); err != nil {
		t.Errorf("dc2 holds %v: %v", stored(t, two), err)
	}
	one.Stop()
	hears(t, a, 4*soon, "b refused")
	two.Stop()
	if err := b.Publish(t.Context(), saying(b, health.CauseStatus)); err == nil {
		t.Error("without a store something was published")
	}
}
