package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/source/consul"
	"github.com/detour-dns/detour/internal/state"
)

// toldEvery is how often what a catalog says is observed again: a change may have
// been held back, and what nobody repeats becomes stale.
const toldEvery = 5 * time.Second

// catalogs follow the sources of services. All but stop and wg belongs to the loop.
type catalogs struct {
	e     *Engine
	file  *config.Config // as it was read: without what catalogs hold
	known source.Catalog
	state map[string]sourceState // by service
	first map[string]bool        // services of which nothing is known, and no answer came
	again time.Time              // when what is known was last observed

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// sourceState is how the last answer of a catalog was.
type sourceState struct {
	problem string // why it was not good, "" if it was
	ignored int
}

func newCatalogs(e *Engine, known source.Catalog) *catalogs {
	return &catalogs{e: e, known: known, state: map[string]sourceState{}, first: map[string]bool{}, stop: func() {}}
}

// plan compiles a file with what catalogs and names are known to hold.
func (e *Engine) plan(file *config.Config) *plan.Plan {
	return plan.Make(plan.Fill(file, e.catalogs.known), e.found)
}

// follow follows the sources of a file from now on. What is known of services that
// it still has stays.
func (c *catalogs) follow(file *config.Config) {
	c.stop()
	c.file = file
	c.await(file)
	if len(file.Sources) == 0 {
		return
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	for i := range file.Sources {
		from, known := consul.New(file, i), c.known
		c.wg.Go(func() {
			from.Run(ctx, known, func(u consul.Update) {
				_ = c.e.Do(func(*Core) {
					if ctx.Err() == nil {
						c.take(u)
					}
				})
			})
		})
	}
	c.tell(time.Now())
}

// await notes the services of a file of which no catalog has told anything yet.
func (c *catalogs) await(file *config.Config) {
	clear(c.first)
	for i := range file.Services {
		s := &file.Services[i]
		if _, known := c.known[s.Name]; s.From != nil && !known {
			c.first[s.Name] = true
		}
	}
}

// close stops following. The loop must have ended, or run.
func (c *catalogs) close() {
	c.stop()
	c.wg.Wait()
}

// take takes in news of a service.
func (c *catalogs) take(u consul.Update) {
	e, now := c.e, time.Now()
	c.note(u)
	delete(c.first, u.Service)
	if u.Err != nil && !u.Places { // no news: what is known stays
		e.heardAll()
		return
	}
	before := c.known
	entry := u.Entry.After(before[u.Service])
	c.known = before.With(u.Service, entry)
	if u.Places {
		e.log.Info("service has other instances in its catalog", "service", people(u.Service), "instances", len(entry.Instances))
		if e.replan(func() *plan.Plan { return e.plan(c.file) }, now, true) != nil {
			c.known = before // forced, so that it is a fault of ours, and logged
			return
		}
	}
	if (u.Places || u.Status) && e.disk.store != nil {
		_, _ = e.write(state.Record{Bucket: state.Catalog, Key: u.Service, Value: entry}) // noted
	}
	c.observe(u.Service, now)
	e.heardAll()
}

// note says once when a service's answers begin to fail, and once when they are
// good again.
func (c *catalogs) note(u consul.Update) {
	was, now := c.state[u.Service], sourceState{}
	for _, n := range u.Ignored {
		now.ignored += n
	}
	if u.Err != nil {
		now.problem = u.Err.Error()
	}
	c.state[u.Service] = now
	switch {
	case now.problem != "" && was.problem == "":
		c.e.log.Warn("catalog does not answer well, what is known of the service stays", "service", people(u.Service), "error", u.Err)
	case now.problem == "" && was.problem != "":
		c.e.log.Info("catalog answers well again", "service", people(u.Service))
	}
	if now.ignored > was.ignored {
		c.e.log.Warn("instances of the catalog are left out or cut", "service", people(u.Service), "why", u.Ignored)
	}
}

// observe takes the catalog's word on the checks of a service, or of all, as their
// results.
func (c *catalogs) observe(service string, now time.Time) {
	for _, o := range c.e.core.Plan.Opinions(c.known, service, now) {
		c.e.core.Observe(o.Check, now, o.Result)
	}
}

// tell observes again what is known, when it is time.
func (c *catalogs) tell(now time.Time) {
	if len(c.known) > 0 && now.Sub(c.again) >= toldEvery {
		c.again = now
		c.observe("", now)
	}
}

// Listing is what is known of a service that comes from a catalog.
type Listing struct {
	Service   string
	Instances int
	Gone      int       // of these, that the catalog lists no longer
	At        time.Time // of the oldest good answer of its datacenters, zero if one never came
	Problem   string    // why the last answer was not good, "" if it was
	Ignored   int       // instances that are not what they should be
}

// Listings returns what is known of the services that come from catalogs, by name.
func (e *Engine) Listings() (out []Listing) {
	_ = e.Do(func(*Core) {
		c := e.catalogs
		for i := range c.file.Services {
			s := &c.file.Services[i]
			if s.From == nil {
				continue
			}
			entry, st := c.known[s.Name], c.state[s.Name]
			out = append(out, Listing{
				Service: s.Name, Instances: len(entry.Instances), Gone: gone(entry.Instances),
				At: entry.At(), Problem: st.problem, Ignored: st.ignored,
			})
		}
	})
	slices.SortFunc(out, func(a, b Listing) int { return cmp.Compare(a.Service, b.Service) })
	return out
}

// gone counts the instances that a catalog lists no longer.
func gone(list []source.Instance) (n int) {
	for i := range list {
		if !list[i].Listed() {
			n++
		}
	}
	return n
}
