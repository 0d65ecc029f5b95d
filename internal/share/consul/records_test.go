package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

func freeze(target string, n uint64, writer string) share.Record {
	return share.Record{
		Kind: share.Freeze, Target: target, Version: share.Version{N: n, Writer: writer},
		Made: time.Unix(1e9, 0).UTC(), TTL: time.Hour, Value: json.RawMessage(`{"reason":"test"}`),
	}
}

// holds waits until s reads what is wanted: "target n writer" of each record, and
// whether it is over.
func holds(t *testing.T, s *Share, want string) []share.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	last := "nothing was read"
	for {
		list, err := s.Records(ctx)
		if ctx.Err() != nil {
			t.Fatalf("records are not %q, last: %s", want, last)
		}
		if err != nil {
			last = err.Error()
			continue
		}
		var all []string
		for _, r := range list {
			all = append(all, fmt.Sprint(r.Target, " ", r.Version.N, " ", r.Version.Writer, map[bool]string{true: " over"}[r.Version.Over]))
		}
		slices.Sort(all)
		if last = strings.Join(all, ", "); last == want {
			return list
		}
	}
}

func put(t *testing.T, s *Share, list ...share.Record) {
	t.Helper()
	if err := s.Put(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// TestRecords: the higher version stays, whoever writes it and in which order.
func TestRecords(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a, b := observe(t, "a", nil, server), observe(t, "b", nil, server)
	if list, err := a.Records(t.Context()); err != nil || list == nil || len(list) != 0 {
		t.Errorf("an empty store reads as %v, %v", list, err)
	}
	put(t, a, freeze("aws/us-east-1", 2, "a"), freeze("*", 1, "a"))
	got := holds(t, b, "* 1 a, aws/us-east-1 2 a")
	if text, want := fmt.Sprintf("%+v", got[1]), fmt.Sprintf("%+v", freeze("*", 1, "a")); text != want {
		t.Errorf("read %s, want %s", text, want)
	}
	put(t, b, freeze("aws/us-east-1", 1, "b"), freeze("*", 1, "b"))
	holds(t, a, "* 1 b, aws/us-east-1 2 a")
	before := stored(t, server)
	gone := freeze("*", 3, "a")
	gone.Deleted, gone.Value = true, nil
	put(t, a, freeze("*", 1, "b"), freeze("*", 1, "a"), freeze("aws/us-east-1", 2, "a"))
	if after := stored(t, server); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("what was there already was written: %v became %v", before, after)
	}
	put(t, a, gone)
	put(t, b, freeze("*", 2, "b"))
	if list := holds(t, b, "* 3 a, aws/us-east-1 2 a"); !list[1].Deleted {
		t.Error("what was deleted came back")
	}
	large := freeze("large", 1, "a")
	large.Value = json.RawMessage(`"` + strings.Repeat("x", maxRecord) + `"`)
	put(t, a, large, freeze("odd\nname", 1, "a"), share.Record{Kind: "reboot", Target: "x"}, freeze("*", 4, "a"))
	holds(t, b, "* 4 a, aws/us-east-1 2 a")

	server.Do(http.MethodPut, "/v1/kv/detour/test/v1/ctl/freeze/~2A", []byte("damaged"))
	server.Do(http.MethodPut, "/v1/kv/detour/test/v1/ctl/reboot/x", []byte("{}"))
	holds(t, b, "aws/us-east-1 2 a")
	if r, err := b.Theirs(t.Context()); err != nil || r.Stores[0].Odd != 2 {
		t.Errorf("odd values are counted as %+v, %v", r.Stores, err)
	}
	put(t, a, freeze("*", 4, "a"))
	holds(t, b, "* 4 a, aws/us-east-1 2 a")
}

// TestOverInAStore: that a record is over replaces it, and is replaced only by what
// is decided next.
func TestOverInAStore(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a, b := observe(t, "a", nil, server), observe(t, "b", nil, server)
	over := freeze("*", 1, "a")
	over.Version.Over, over.Deleted, over.Value = true, true, nil
	put(t, a, freeze("*", 1, "a"))
	holds(t, b, "* 1 a")
	put(t, b, over)
	put(t, a, freeze("*", 1, "a"))
	if list := holds(t, a, "* 1 a over"); !list[0].Deleted || list[0].TTL != time.Hour {
		t.Errorf("read %+v", list[0])
	}
	put(t, a, freeze("*", 2, "a"))
	put(t, b, over)
	holds(t, b, "* 2 a")
}

// TestManyRecords: more than one transaction takes.
func TestManyRecords(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a := observe(t, "a", nil, server)
	var list []share.Record
	for i := range 3*chunk + 1 {
		r := freeze(fmt.Sprint("pool/", i), 1, "a")
		r.Value = json.RawMessage(`"` + strings.Repeat("x", maxRecord-300) + `"`)
		list = append(list, r)
	}
	put(t, a, list...)
	if got, err := a.Records(t.Context()); err != nil || len(got) != len(list) {
		t.Errorf("%d records are read of %d, %v", len(got), len(list), err)
	}
}

// TestWritersAtOnce: whatever the order, the highest version is what stays.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	const targets, writes = 5, 40
	var wg sync.WaitGroup
	for _, writer := range []string{"a", "b", "c"} {
		s := observe(t, writer, nil, server)
		wg.Go(func() {
			for range writes {
				var list []share.Record
				for i := range targets {
					list = append(list, freeze(fmt.Sprint(i), rand.Uint64N(1000)+1, writer))
				}
				_ = s.Put(t.Context(), list) // some give way for good
			}
			for i := range targets {
				put(t, s, freeze(fmt.Sprint(i), 2000, writer))
			}
		})
	}
	wg.Wait()
	holds(t, observe(t, "r", nil, server), "0 2000 c, 1 2000 c, 2 2000 c, 3 2000 c, 4 2000 c")
}
