package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/share/consul"
)

// hub is a store in memory. It answers as one would: at once when something
// changed, after ten seconds if nothing did, and not at all while it is frozen.
type hub struct {
	mu        sync.Mutex
	frozen    bool
	lasting   time.Duration // how long what an observer said outlives it
	opinions  map[string]said
	records   map[string]share.Record
	uses      map[string]share.Use // by ID; what the gone said stays
	changed   chan struct{}        // closed at the next change
	writes    int
	useWrites int
}

type said struct {
	share.Opinion
	gone time.Time // when the observer left or was cut off, zero if it did not
}

func newHub() *hub {
	return &hub{opinions: map[string]said{}, records: map[string]share.Record{}, uses: map[string]share.Use{}, changed: make(chan struct{}), lasting: 20 * time.Second}
}

func (h *hub) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

// seat is one observer's way to the hub.
type seat struct {
	h       *hub
	name    string
	cut     bool        // under h.mu
	denied  bool        // may not write records; under h.mu
	refused int         // writes; under h.mu
	late    *share.Use  // said while the store was away; of the loop
	old     bool        // says nothing of buckets
	when    []time.Time // it wrote; under h.mu
	seen    [3]chan struct{}
}

var errAway = errors.New("the store does not answer")

// reach waits as a client does for a store that does not answer.
func (s *seat) reach(ctx context.Context) error {
	s.h.mu.Lock()
	away := s.h.frozen || s.cut
	s.h.mu.Unlock()
	if !away {
		return ctx.Err()
	}
	select {
	case <-time.After(14 * time.Second):
		return errAway
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *seat) Publish(ctx context.Context, o share.Opinion) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	if s.old {
		o.Buckets = nil
	}
	s.h.change(func() { s.h.opinions[s.name] = said{Opinion: o}; s.wrote() })
	return nil
}

func (s *seat) wrote() { s.h.writes++; s.when = append(s.when, time.Now()) }

func (s *seat) Put(ctx context.Context, list []share.Record) error {
	if err := s.reach(ctx); err != nil {
		return err
	}
	var err error
	s.h.change(func() {
		if s.denied {
			s.refused++
			err = fmt.Errorf("seat: %w", consul.ErrDenied)
			return
		}
		s.wrote()
		for _, r := range list {
			if !r.Version.Less(s.h.records[r.Key()].Version) {
				s.h.records[r.Key()] = r
			}
		}
	})
	return err
}

// wait returns once the hub changed since the last call, or after ten seconds.
func (s *seat) wait(ctx context.Context, which int) error {
	s.h.mu.Lock()
	last := s.seen[which]
	s.h.mu.Unlock()
	if last != nil {
		select {
		case <-last:
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := s.reach(ctx); err != nil {
		return err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.seen[which] = s.h.changed
	return nil
}

func (s *seat) Theirs(ctx context.Context) (r share.Read, err error) {
	if err = s.wait(ctx, 0); err != nil {
		return r, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	for name, o := range s.h.opinions {
		if name != s.name && (o.gone.IsZero() || time.Since(o.gone) < s.h.lasting) {
			r.Others = append(r.Others, o.Opinion)
		}
	}
	return r, nil
}

func (s *seat) Records(ctx context.Context) ([]share.Record, error) {
	if err := s.wait(ctx, 1); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return slices.Collect(maps.Values(s.h.records)), nil
}

func (s *seat) Use(u share.Use) error {
	s.h.mu.Lock()
	away := s.h.frozen || s.cut
	s.h.mu.Unlock()
	if away {
		s.late = &u
		return nil
	}
	slices.SortFunc(u.Services, func(a, b share.ServiceUse) int { return cmp.Compare(a.ID, b.ID) })
	s.h.change(func() { s.h.uses[u.ID()] = u; s.h.useWrites++ })
	return nil
}

func (s *seat) Uses(ctx context.Context) ([]share.Use, error) {
	if err := s.wait(ctx, 2); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	return slices.Collect(maps.Values(s.h.uses)), nil
}

func (s *seat) Close(context.Context) error {
	s.h.change(func() {
		if !s.cut && !s.h.frozen {
			delete(s.h.opinions, s.name)
		}
	})
	return nil
}

// resolver is one of several engines.
type resolver struct {
	*Engine
	*world
	seat *seat
	yaml string
	log  *slog.Logger // nil: none
}

// gather starts engines in the given zones, which agree through the hub, and lets
// them settle. They answer for the same services.
func gatherFleet(t *testing.T, h *hub, services string, zones ...string) []*resolver {
	t.Helper()
	var all []*resolver
	for i, zone := range zones {
		all = append(all, join(t, h, fmt.Sprint("r", i+1), zone, t.TempDir(), services, &world{}))
	}
	pass(30 * time.Second)
	return all
}

func join(t *testing.T, h *hub, name, zone, dir, services string, w *world) *resolver {
	t.Helper()
	r := &resolver{world: w, seat: &seat{h: h, name: name}}
	r.yaml = "self: {name: " + name + ", zone: " + zone + "}\n" + strings.ReplaceAll(services, "DIR", filepath.Join(dir, name))
	r.start(t, h)
	t.Cleanup(r.Close)
	return r
}

func (r *resolver) start(t *testing.T, h *hub) {
	t.Helper()
	o := Options{Config: parse(t, r.yaml), Dial: r.world.dial, Log: slog.New(slog.DiscardHandler)}
	if h != nil {
		o.Share = r.seat
	}
	if r.log != nil {
		o.Log = r.log
	}
	var err error
	if r.Engine, err = Start(o); err != nil {
		t.Fatal(err)
	}
}

// cutOff takes a resolver away from the hub, which notices only when its session
// ends.
func (r *resolver) cutOff() {
	r.seat.h.change(func() {
		o := r.seat.h.opinions[r.seat.name]
		o.gone = time.Now()
		r.seat.h.opinions[r.seat.name], r.seat.cut = o, true
	})
}

// left returns after how long all the given resolvers have left a region.
func left(t *testing.T, region string, all ...*resolver) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < 20*time.Minute {
		if !slices.ContainsFunc(all, func(r *resolver) bool { return r.used() == region }) {
			return time.Since(began)
		}
		pass(100 * time.Millisecond)
	}
	t.Fatalf("%s is used for ever", region)
	return 0
}

// edited is a file with another timeout.
func edited(yaml string) string {
	return strings.Replace(yaml, "port: 5432", "port: 5432, timeout: 1500ms", 1)
}
