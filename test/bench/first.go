package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
)

// transitions measures the rest of P5: from a probe's result to the snapshot that
// is published because of it, with 10,000 services, on the engine's own loop.
func (b *bench) transitions(samples int) error {
	path, err := b.services("first", names, "monitors: {web: {type: tcp, port: 9, interval: 1h, fall: 1, rise: 1}}", "aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	eng, err := engine.Start(engine.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler),
		Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			here, there := net.Pipe()
			_ = there.Close()
			return here, nil
		},
	})
	if err != nil {
		return err
	}
	defer eng.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !eng.Ready() && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	var took []time.Duration
	for i := range samples {
		t, err := transition(eng, int32(i*7919%cfgChecks))
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	slices.Sort(took)
	p99 := took[(len(took)-1)*99/100]
	fmt.Fprintf(os.Stderr, "P5 first transition: median %s, p99 %s\n", took[len(took)/2], p99)
	b.limit("P5", "probe result to published snapshot, p99", measured{ns: float64(p99), allocs: 0}, 10_000_000, anyAllocs)
	return nil
}

// cfgChecks is how many checks the file of transitions has.
const cfgChecks = 2 * names

// transition turns one check Down and returns how long it took until a snapshot
// with that was published.
func transition(eng *engine.Engine, check int32) (time.Duration, error) {
	time.Sleep(150 * time.Millisecond) // what comes sooner after a publish is gathered
	gen := eng.Load().Gen
	var start time.Time
	err := eng.Do(func(c *engine.Core) {
		start = time.Now()
		c.Observe(check, start, health.Result{At: start, Cause: health.CauseRefused})
	})
	if err != nil {
		return 0, err
	}
	for time.Since(start) < 5*time.Second {
		if eng.Load().Gen != gen {
			return time.Since(start), nil
		}
		time.Sleep(20 * time.Microsecond)
	}
	return 0, errors.New("nothing was published")
}
