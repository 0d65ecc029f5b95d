package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/source/consul"
	"github.com/detour-dns/detour/internal/steer"
)

// instances is how many the catalog has, all of one service in two regions.
const instances = 5000

// How often the catalog is read as a whole, and changed.
const (
	firstReads = 5
	edits      = 10
)

// catalog measures P9: from a catalog in a real server to a snapshot that has what
// is in it.
func (b *bench) catalog() error {
	s, err := b.startStore("P9", "catalog")
	if s == nil || err != nil {
		return err
	}
	defer s.stop()
	if err := s.register(); err != nil {
		return err
	}
	cfg, err := config.Parse("bench.yaml", []byte("sources: [{consul: {address: 'http://"+s.addr+"', services: {web: {}}}}]\n"))
	if err != nil {
		return err
	}
	var firsts []float64
	for range firstReads - 1 {
		f, took, err := follow(cfg)
		if err != nil {
			return err
		}
		f.stop()
		firsts = append(firsts, took.Seconds())
	}
	f, took, err := follow(cfg)
	if err != nil {
		return err
	}
	defer f.stop()
	b.load("P9", "a catalog of 5,000 instances: first snapshot, median of 5", median(append(firsts, took.Seconds())), 3, "s")
	seen, err := f.change(s)
	if err != nil {
		return err
	}
	b.row("P9", "the same: one instance leaves, until a snapshot says so, median", fmt.Sprintf("%.2f s", seen[len(seen)/2].Seconds()))
	b.load("P9", fmt.Sprintf("the same: the worst of %d", edits), seen[len(seen)-1].Seconds(), 1, "s")
	return nil
}

// register puts the instances into the catalog.
func (s *store) register() error {
	if _, err := s.do(http.MethodPut, "/v1/catalog/register", `{"Node":"base","Address":"192.0.2.1"}`); err != nil {
		return err
	}
	for at := 0; at < instances; at += 50 { // of 64 that a transaction may have
		var ops []string
		for i := at; i < at+50; i++ {
			ops = append(ops, fmt.Sprintf(`{"Service":{"Verb":"set","Node":"base","Service":{"ID":"web-%d","Service":"web",`+
				`"Address":"10.0.%d.%d","Port":443,"Meta":{"provider":"aws","region":"us-east-%d"}}}}`, i, i>>8, i&255, i%2))
		}
		if _, err := s.do(http.MethodPut, "/v1/txn", "["+strings.Join(ops, ",")+"]"); err != nil {
			return err
		}
	}
	return nil
}

// follower makes a snapshot of everything that its source says, as the engine does.
type follower struct {
	built  chan int // how many endpoints the newest snapshot stands on
	cancel context.CancelFunc
	ended  chan struct{}
}

// follow starts a follower and returns how long it took until a snapshot had all
// instances.
func follow(cfg *config.Config) (*follower, time.Duration, error) {
	f := &follower{built: make(chan int, 100), ended: make(chan struct{})}
	began := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	known := source.Catalog{}
	go func() {
		defer close(f.ended)
		consul.New(cfg, 0).Run(ctx, nil, func(u consul.Update) {
			if u.Err != nil || !u.Places {
				return
			}
			known = known.With(u.Service, u.Entry)
			p := plan.Make(plan.Fill(cfg, known), nil)
			steer.Build(steer.Input{Plan: p.Steer, Now: time.Now(), Checks: make([]health.View, len(p.Checks))})
			f.built <- endpoints(p.Config)
		})
	}()
	err := f.until(instances)
	if err != nil {
		f.stop()
	}
	return f, time.Since(began), err
}

func endpoints(cfg *config.Config) (n int) {
	for i := range cfg.Services {
		for _, p := range cfg.Services[i].Pools {
			n += len(p.Endpoints)
		}
	}
	return n
}

// until waits until a snapshot stands on n endpoints.
func (f *follower) until(n int) error {
	late := time.After(30 * time.Second)
	for {
		select {
		case have := <-f.built:
			if have == n {
				return nil
			}
		case <-late:
			return errors.New("the catalog is not read")
		}
	}
}

// change takes instances out of the catalog, and returns how long each took to be
// seen, sorted.
func (f *follower) change(s *store) (took []time.Duration, err error) {
	for i := range edits {
		time.Sleep(700 * time.Millisecond) // the source waits between two answers, at most 0.5 s
		began := time.Now()
		if _, err := s.do(http.MethodPut, "/v1/catalog/deregister", fmt.Sprintf(`{"Node":"base","ServiceID":"web-%d"}`, i*499)); err != nil {
			return nil, err
		}
		if err := f.until(instances - 1 - i); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

func (f *follower) stop() {
	f.cancel()
	<-f.ended
}
