package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/share/consul"
)

// crowd is observers that tell each other what they hold, in rounds.
type crowd struct {
	all     []*consul.Share
	ctx     context.Context
	stop    context.CancelFunc
	readers sync.WaitGroup

	mu     sync.Mutex
	heard  [][]time.Time // by observer: when it had heard all others of a round
	failed error         // the last read that failed
}

// startCrowd has observers meet at an address. They read all that engines read.
func startCrowd(n int, at string) (*crowd, error) {
	c := &crowd{heard: make([][]time.Time, n)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	for i := range n {
		s, err := consul.New(consul.Options{
			Cluster: "bench", Observer: observerName(i), Zone: zoneName(i), Stores: []consul.Store{{Datacenter: "dc1", Address: "http://" + at}},
		})
		if err != nil {
			c.close()
			return nil, err
		}
		c.all = append(c.all, s)
		c.readers.Go(func() { c.listen(i, s) })
		c.readers.Go(func() {
			for c.ctx.Err() == nil {
				_, err := s.Records(c.ctx)
				c.note(err)
			}
		})
	}
	return c, nil
}

func observerName(i int) string { return fmt.Sprintf("fra-%02d", i) }

// listen notes when observer i had heard the others.
func (c *crowd) listen(i int, s *consul.Share) {
	for c.ctx.Err() == nil {
		r, err := s.Theirs(c.ctx)
		c.note(err)
		if err != nil || len(r.Others) < len(c.heard)-1 {
			continue
		}
		round := slices.MinFunc(r.Others, func(a, b share.Opinion) int { return roundOf(a) - roundOf(b) })
		c.mu.Lock()
		for len(c.heard[i]) <= roundOf(round) {
			c.heard[i] = append(c.heard[i], time.Now())
		}
		c.mu.Unlock()
	}
}

func zoneName(i int) string { return fmt.Sprintf("onprem/fra%d", i%5) }

// note keeps why a read failed, and leaves the store a second then, as engines do.
func (c *crowd) note(err error) {
	if err == nil || c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.failed = err
	c.mu.Unlock()
	time.Sleep(time.Second)
}

// The round of an opinion stands where the hash of the decisions does.
func roundOf(o share.Opinion) int {
	n, _ := strconv.ParseUint(o.Decision, 16, 32)
	return int(n)
}

// say has every observer publish, one after the other within half a second as
// their own clocks have it, and returns when the last Publish returned.
func (c *crowd) say(round int, list []share.Opinion) (last time.Time, err error) {
	ends, errs := make([]time.Time, len(c.all)), make([]error, len(c.all))
	var wg sync.WaitGroup
	for i, s := range c.all {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 500 * time.Millisecond / time.Duration(len(c.all)))
			o := list[(round+i)%len(list)]
			o.Observer, o.Boot, o.Zone, o.Version = observerName(i), "AGREEAGREEAGREEAGREEAGREEA", zoneName(i), "v1.0.0"
			o.Decision = fmt.Sprintf("%016x", round)
			ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
			defer cancel()
			errs[i] = s.Publish(ctx, o)
			ends[i] = time.Now()
		})
	}
	wg.Wait()
	return slices.MaxFunc(ends, time.Time.Compare), errors.Join(errs...)
}

// agreed waits until every observer has heard all others of a round, and returns
// when the last one had.
func (c *crowd) agreed(round int) (last time.Time, err error) {
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		missing := 0
		c.mu.Lock()
		for _, h := range c.heard {
			if len(h) <= round {
				missing++
				continue
			}
			last = slices.MaxFunc([]time.Time{last, h[round]}, time.Time.Compare)
		}
		c.mu.Unlock()
		if missing == 0 {
			return last, nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return last, fmt.Errorf("some observers never heard all others of round %d; the last error: %w", round, c.failed)
}

// close has all leave.
func (c *crowd) close() {
	c.stop()
	c.readers.Wait()
	var wg sync.WaitGroup
	for _, s := range c.all {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = s.Close(ctx) // the server is ended anyway
		})
	}
	wg.Wait()
}
