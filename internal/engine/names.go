package engine

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
)

// How often a name is asked again: on its TTL, within bounds. A name that cannot
// be resolved is asked again as often as the shortest TTL allows.
const (
	namesMin     = 5 * time.Second
	namesMax     = 60 * time.Second
	namesTimeout = 5 * time.Second
	namesAtOnce  = 8
)

// names keeps the addresses of names that stand as endpoints. A failure of any
// kind leaves what is known as it is.
type names struct {
	e      *Engine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{}

	mu     sync.Mutex // guards what follows
	lookup source.Lookup
	ready  chan struct{} // closed when lookup is set
	ask    map[string]context.CancelFunc
	never  map[string]bool // not answered yet, in any way
}

func newNames(e *Engine, l source.Lookup) *names {
	n := &names{
		e: e, lookup: l, ready: make(chan struct{}), ask: map[string]context.CancelFunc{},
		never: map[string]bool{}, slots: make(chan struct{}, namesAtOnce),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if l != nil {
		close(n.ready)
	}
	return n
}

// set gives or replaces the lookup: after a reload the chain below is another.
func (n *names) set(l source.Lookup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lookup == nil && l != nil {
		close(n.ready)
	}
	n.lookup = l
}

func (n *names) close() {
	n.cancel()
	n.wg.Wait()
}

// want makes these names, and no others, be asked for.
func (n *names) want(list []string, found source.Found) {
	wanted := make(map[string]bool, len(list))
	for _, name := range list {
		wanted[name] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, cancel := range n.ask {
		if !wanted[name] {
			cancel()
			delete(n.ask, name)
			delete(n.never, name)
		}
	}
	for _, name := range list {
		if n.ask[name] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(n.ctx)
		n.ask[name] = cancel
		if len(found[name].List()) == 0 {
			n.never[name] = true
		}
		n.wg.Go(func() { n.follow(ctx, name) })
	}
}

// pending reports whether some name has not been asked for once.
func (n *names) pending() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.never) > 0
}

// follow asks for one name again and again.
func (n *names) follow(ctx context.Context, name string) {
	select {
	case <-n.ready:
	case <-ctx.Done():
		return
	}
	for {
		ips, ttl, err := n.once(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if n.e.learn(name, ips, ttl, err) != nil {
			return
		}
		wait := time.NewTimer(jitter(min(max(ttl, namesMin), namesMax)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

func (n *names) once(ctx context.Context, name string) (ips []netip.Addr, ttl time.Duration, err error) {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	n.mu.Lock()
	lookup := n.lookup
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	return lookup(ctx, name)
}

// jitter takes up to a fifth off, so that names are not asked in step.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// learn takes in what a name resolved to. It runs on the asking goroutine.
func (e *Engine) learn(name string, ips []netip.Addr, ttl time.Duration, failure error) error {
	return e.Do(func(c *Core) {
		e.names.mu.Lock()
		delete(e.names.never, name)
		e.names.mu.Unlock()
		old, asked := e.found[name]
		ips = possible(ips, c.Plan.Config)
		now := old.Learn(ips, ttl, time.Now())
		if failure != nil || len(ips) == 0 {
			e.log.Debug("name not resolved, what is known of it stays", "name", name, "error", failure, "kept", len(old.List()))
			now = old.Fail(time.Now())
		}
		before := e.found
		e.found = maps.Clone(e.found)
		e.found[name] = now
		if !asked || !old.Same(now) {
			e.log.Info("endpoint name has other addresses", "name", name, "addresses", len(now.List()))
			if e.replan(func() *plan.Plan { return plan.Make(c.Plan.Config, e.found) }, time.Now(), true) != nil {
				e.found = before // forced, so that it is a fault of ours, and logged
			}
		}
		e.heardAll()
	})
}

// possible leaves out the addresses that are never probed: a name that leads to
// one, such as a sinkhole's 0.0.0.0, has none for us.
func possible(ips []netip.Addr, cfg *config.Config) []netip.Addr {
	targets := cfg.Targets()
	return slices.DeleteFunc(slices.Clone(ips), func(ip netip.Addr) bool {
		_, forbidden := targets.Forbidden(ip)
		return forbidden
	})
}

// replan moves to another plan. It runs on the loop. A plan over which this program
// fails changes nothing.
func (e *Engine) replan(compile func() *plan.Plan, now time.Time, force bool) error {
	e.tellTurns() // they are numbered by the plan that ends
	var p *plan.Plan
	if err := e.contain(func() error { p = compile(); return e.core.Replan(p, now, force) }); err != nil {
		return err
	}
	e.watch(p)
	e.names.want(p.Names, e.found)
	e.catalogs.observe("", now)
	e.publish(now)
	e.tellMoves(e.core.Snapshot(), e.core.moved, "reload")
	return nil
}
