package consul

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

func among(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, name := range names {
		out[name] = true
	}
	return out
}

// TestGoneForLong: an observer is gone once it was not seen for a day, for an hour in a
// crowd; one that comes back begins anew, and one that lives is never gone.
func TestGoneForLong(t *testing.T) {
	t.Parallel()
	g, now := gone{}, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	look := func(after time.Duration, names, living map[string]bool, want string) {
		t.Helper()
		now = now.Add(after)
		if got := strings.Join(g.look(names, living, now), " "); got != want {
			t.Errorf("after %v: gone are %q, want %q", after, got, want)
		}
	}
	look(0, among("a", "b", "c"), among("a"), "")
	look(goneLong-time.Second, among("a", "b", "c"), among("a", "c"), "")
	look(time.Second, among("a", "b", "c"), among("a"), "b")
	look(time.Second, among("a", "c"), among("a"), "")                // b was deleted
	look(goneLong-time.Minute, among("a", "b", "c"), among("a"), "")  // b is there again, and gone since now
	look(time.Minute-time.Second, among("a", "b", "c"), among(), "c") // c was back
	crowd := among("a")
	for i := range manyGone {
		crowd[fmt.Sprint("x", i)] = true
	}
	look(0, crowd, among("a"), "")
	look(goneShort-time.Second, crowd, among("a", "x1"), "")
	if over := g.look(crowd, among("a"), now.Add(time.Second)); len(over) != manyGone-1 || slices.Contains(over, "x1") {
		t.Errorf("of a crowd are gone %v", over)
	}
}

// TestForget: what is left behind in this zone is found and deleted, but not what one
// holds that lives, nor what is of another zone.
func TestForget(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	same := func(o *Options) { o.Zone = "aws/eu-west-1" }
	a, b := observe(t, "a", same, server), observe(t, "b", same, server)
	publish(t, a, health.CauseTimeout)
	publish(t, b, health.CauseTimeout)
	kept := func(zone, observer string) string { return a.keys.keptBy(zone, observer) + strings.Repeat("1", 32) }
	for _, key := range []string{
		a.keys.use(a.o.Zone, "b"), kept(a.o.Zone, "b"), a.keys.use(a.o.Zone, "pod-1"), kept(a.o.Zone, "pod-1"), kept(a.o.Zone, "pod-2"),
		a.keys.use("gcp/west1", "pod-1"), kept("gcp/west1", "pod-1"), a.keys.use(a.o.Zone, "pod-10"), kept(a.o.Zone, "pod-10"),
	} {
		server.Do(http.MethodPut, "/v1/kv/"+key, []byte("{}"))
	}
	st := a.stores[0]
	names, living, err := st.left()
	if err != nil || !maps.Equal(names, among("b", "pod-1", "pod-10", "pod-2")) || !maps.Equal(living, among("a", "b")) {
		t.Fatalf("left something: %v; live: %v; %v", names, living, err)
	}
	for name, want := range map[string]bool{"pod-1": true, "pod-2": true, "b": false} {
		if done, err := st.forget(name); done != want || err != nil {
			t.Errorf("%s: deleted: %v, %v", name, done, err)
		}
	}
	if names, _, err = st.left(); err != nil || !maps.Equal(names, among("b", "pod-10")) {
		t.Errorf("left: %v, %v", names, err)
	}
	for _, key := range []string{a.keys.use("gcp/west1", "pod-1"), kept("gcp/west1", "pod-1"), kept(a.o.Zone, "pod-10"), kept(a.o.Zone, "b")} {
		if text := server.Do(http.MethodGet, "/v1/kv/"+key+"?raw", nil); string(text) != "{}" {
			t.Errorf("%s is %q", key, text)
		}
	}
}

// TestTheGoneSilenceNobody: of a zone where many have been, the living have room among
// uses first, then those who left last.
func TestTheGoneSilenceNobody(t *testing.T) {
	t.Parallel()
	s := observe(t, "a", func(o *Options) { o.Stores = []Store{{Address: "127.0.0.1:1"}} })
	st := s.stores[0]
	st.parts[inWho].entries = map[string]entry{"crowd/zz-lives": {}}
	var pairs api.KVPairs
	for i := range maxObservers + 10 {
		pairs = append(pairs, &api.KVPair{Key: fmt.Sprintf("%suse/crowd/o%02d", s.keys.base, i), ModifyIndex: uint64(100 + i), Value: []byte(`{"boot":"x"}`)})
	}
	pairs = append(pairs, &api.KVPair{Key: s.keys.base + "use/crowd/zz-lives", ModifyIndex: 1, Value: []byte(`{"boot":"x"}`)})
	first, _ := st.sift(inUse, nil, pairs[:maxObservers])
	entries, odd := st.sift(inUse, first, pairs)
	if len(entries) != maxObservers || odd != 11 || entries["crowd/zz-lives"].use == nil || entries["crowd/o73"].use == nil || entries["crowd/o10"].use != nil {
		t.Errorf("%d have room, %d not: %v", len(entries), odd, slices.Sorted(maps.Keys(entries)))
	}
}

// TestTheGoneKeepNobodyOut: the same of what guards keep.
func TestTheGoneKeepNobodyOut(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	same := func(o *Options) { o.Zone = "aws/eu-west-1" }
	a, z := observe(t, "a", same, server), observe(t, "z", same, server)
	publish(t, z, health.CauseTimeout)
	hears(t, a, soon, "z timeout")
	for i := range maxKeepers {
		r := keptOf('0', 1, fmt.Sprintf("o%02d", i))
		value, _ := encodeKept(&r, a.o.Zone, r.Version.Writer)
		server.Do(http.MethodPut, "/v1/kv/"+a.keys.keptBy(a.o.Zone, r.Version.Writer)+r.Target, value)
	}
	if err := z.Keep(t.Context(), []share.Record{keptOf('f', 1, "z")}); err != nil {
		t.Fatal(err)
	}
	stock, err := a.Kept(t.Context())
	if n := len(stock.Here); err != nil || n != maxKeepers || stock.Here[n-1].Version.Writer != "z" {
		t.Errorf("%d are kept: %v, %v", n, stock.Here[max(0, n-1):], err)
	}
}
