package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/share"
)

// shelf is a store in memory.
type shelf struct {
	mu    sync.Mutex
	here  []share.Record
	news  chan struct{}
	fails error
	wrote int
}

func (s *shelf) Keep(_ context.Context, list []share.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	for _, r := range list {
		s.here = append(slices.DeleteFunc(s.here, func(o share.Record) bool { return o.Target == r.Target }), r)
		s.wrote++
	}
	return nil
}

func (s *shelf) Kept(ctx context.Context) (share.Stock, error) {
	select {
	case <-s.news:
	case <-ctx.Done():
		return share.Stock{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return share.Stock{Here: slices.Clone(s.here)}, s.fails
}

func open(s *shelf, log *bytes.Buffer) *Exchange {
	return New(Options{At: s, Self: "dns1", Zone: func() []string { return []string{"dns2"} }, Log: slog.New(slog.NewTextHandler(log, nil))})
}

func of(name string, good guard.Stamp) guard.Shared {
	return guard.Shared{Block: ".:53/", Name: name, Known: guard.Name{V4: guard.Kept{Good: good}}}
}

// TestTheLastWordIsStored holds that what was left while nothing could be stored is
// stored when it can be left again, once, in a version that wins; and that people
// are told once.
func TestTheLastWordIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &shelf{news: make(chan struct{})}
		x := open(s, &log)
		if _, version := x.Found(); version != 0 {
			t.Error("something was found before anything was read")
		}
		s.news <- struct{}{}
		synctest.Wait()
		if list, version := x.Found(); len(list) != 0 || version != 1 {
			t.Errorf("%d, version %d", len(list), version)
		}
		x.Leave(of("a.example.", 1))
		x.Leave(of("a.example.", 2))
		wait(2 * writeEvery)
		x.Leave(of("a.example.", 2))
		wait(2 * writeEvery)
		x.Leave(of("a.example.", 3))
		wait(2 * writeEvery)
		if s.wrote != 2 || s.here[0].Version != (share.Version{N: 2, Writer: "dns1"}) || s.here[0].Target != Target(".:53/", "a.example.") {
			t.Errorf("%d writes, %+v", s.wrote, s.here)
		}
		if self, zone := x.Zone(); self != "dns1" || !slices.Equal(zone, []string{"dns2"}) {
			t.Errorf("%s of %v", self, zone)
		}
		s.fails = errors.New("no leader")
		for range 3 {
			x.Leave(of("a.example.", 4))
			wait(10 * time.Second)
		}
		s.fails = nil
		x.Leave(of("a.example.", 5))
		wait(10 * time.Second)
		if s.wrote != 3 || strings.Count(log.String(), "no leader") != 1 || !strings.Contains(log.String(), "again") {
			t.Errorf("%d writes, told:\n%s", s.wrote, &log)
		}
		x.Close()
	})
}

// TestNotMoreNames holds that a list of a hundred thousand names does not fill a
// Consul, and that those that are there go on.
func TestNotMoreNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &shelf{news: make(chan struct{})}
		x := open(s, &log)
		for i := range 5 * maxNames {
			x.Leave(of(fmt.Sprintf("n%d.example.", i), 1))
		}
		wait(2 * writeEvery)
		x.Leave(of("n7.example.", 2))
		wait(2 * writeEvery)
		if s.wrote != maxNames+1 || strings.Count(log.String(), "more names") != 1 {
			t.Errorf("%d writes, told:\n%s", s.wrote, &log)
		}
		x.Close()
	})
}

// TestDamagedRecords holds that what is not the word of a guard on the name that
// its key says is not found.
func TestDamagedRecords(t *testing.T) {
	good := of("a.example.", 1)
	raw, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	key := Target(good.Block, good.Name)
	for what, r := range map[string]share.Record{
		"":              {Target: key, Value: raw, Version: share.Version{Writer: "dns2"}},
		"another's key": {Target: Target(good.Block, "b.example."), Value: raw},
		"no value":      {Target: key},
		"another type":  {Target: key, Value: json.RawMessage(`{"name": 7}`)},
		"cut short":     {Target: key, Value: raw[:len(raw)/2]},
	} {
		s, ok := decode(&r)
		if ok != (what == "") {
			t.Errorf("%s: %v", what, ok)
		}
		if ok && s.By != "dns2" {
			t.Errorf("by %q: a writer says who it is, not its value", s.By)
		}
	}
}

// wait lets time pass in the bubble.
func wait(d time.Duration) {
	<-time.NewTimer(d).C
	synctest.Wait()
}
