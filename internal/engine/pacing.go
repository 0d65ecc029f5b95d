package engine

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// pacedFor is the time within which catalogs may take away all that is well from no more of
// the services than limits.reload_moves says, but at least one. An address that a catalog has
// listed for less than that does not make up for those that were there before.
const pacedFor = 10 * time.Minute

// pacing holds back news of catalogs that would take away from a service every address from
// which it is answered, while our own probes find these well: somebody empties the catalog,
// and the machines are fine. The addresses stay beside those of the news until they fail, or
// until it is the service's turn. A service that only the catalog's own checks speak for is
// not held back: nobody could tell that from a failure.
type pacing struct {
	held  map[string]waiting                  // by service
	lost  map[string]time.Time                // services from which all was taken away, and when
	since map[string]map[netip.Addr]time.Time // by service: addresses that came lately, and when
}

// waiting is news that wait since.
type waiting struct {
	entry source.Entry
	since time.Time
}

func newPacing() pacing {
	return pacing{held: map[string]waiting{}, lost: map[string]time.Time{}, since: map[string]map[netip.Addr]time.Time{}}
}

// forget drops what is older than counts.
func (p *pacing) forget(now time.Time) {
	maps.DeleteFunc(p.lost, func(_ string, at time.Time) bool { return now.Sub(at) >= pacedFor })
	for service, since := range p.since {
		maps.DeleteFunc(since, func(_ netip.Addr, at time.Time) bool { return now.Sub(at) >= pacedFor })
		if len(since) == 0 {
			delete(p.since, service)
		}
	}
}

// admit returns what is to be known of a service now that a catalog holds entry, and notes
// that it waits.
func (c *catalogs) admit(service string, entry source.Entry, now time.Time) source.Entry {
	known, had := c.known[service]
	if had {
		c.noteNew(service, known, entry, now)
	}
	if !had || !c.takesAway(service, entry) {
		delete(c.pace.held, service)
		return entry
	}
	if _, again := c.pace.lost[service]; !again && len(c.pace.lost) >= c.atOnce() {
		if _, told := c.pace.held[service]; !told {
			c.e.log.Warn("catalog lists none of the addresses any more that answer well: they stay until they fail, or others have had their turn", "service", people(service), "why", c.why())
		}
		c.pace.held[service] = waiting{entry, cmp.Or(c.pace.held[service].since, now)}
		return both(known, entry)
	}
	c.pace.lost[service] = now
	delete(c.pace.held, service)
	return entry
}

// atOnce is how many services may lose all that is well within pacedFor.
func (c *catalogs) atOnce() int {
	return max(1, len(c.file.Services)*c.file.Limits.ReloadMoves/100)
}

func (c *catalogs) why() string {
	return fmt.Sprintf("%s lost theirs within %v; limits.reload_moves allows no more", many(len(c.pace.lost), "service", "services"), pacedFor)
}

// noteNew notes since when addresses are listed that were not before.
func (c *catalogs) noteNew(service string, known, entry source.Entry, now time.Time) {
	for _, in := range entry.Instances {
		if _, old := known.Find(in.Addr); old {
			continue
		}
		if c.pace.since[service] == nil {
			c.pace.since[service] = map[netip.Addr]time.Time{}
		}
		c.pace.since[service][in.Addr] = now
	}
}

// takesAway reports whether an entry lacks every address from which a service is answered
// now and that our own probes find well, of those that were not listed only lately.
func (c *catalogs) takesAway(service string, entry source.Entry) bool {
	snap := c.e.core.Snapshot()
	i, ok := snap.Plan.Find(service)
	if !ok || !isProbed(c.file, service) {
		return false
	}
	well := wellIn(snap, i, c.pace.since[service])
	return len(well) > 0 && !slices.ContainsFunc(well, func(a netip.Addr) bool {
		_, stays := entry.Find(a)
		return stays
	})
}

// wellIn lists the addresses that a service is answered with and that are Up, but those that
// came lately.
func wellIn(snap *steer.Snapshot, i int32, lately map[netip.Addr]time.Time) (out []netip.Addr) {
	s, st := &snap.Plan.Services[i], snap.State(i)
	for p := range s.Pools {
		if st.Memory.Used&(1<<p) != 0 {
			out = append(out, upIn(&s.Pools[p], &st.Pools[p])...)
		}
	}
	return slices.DeleteFunc(out, func(a netip.Addr) bool { _, isNew := lately[a]; return isNew })
}

// upIn lists the addresses of a pool's endpoints that are Up.
func upIn(p *steer.Pool, ps *steer.PoolState) (out []netip.Addr) {
	for e := range p.Endpoints {
		if ps.Ends[e].View.Verdict != health.Up {
			continue
		}
		for _, a := range p.Endpoints[e].Addrs {
			out = append(out, a.IP)
		}
	}
	return out
}

// isProbed reports whether probes of ours speak for a service, not only its catalog.
func isProbed(cfg *config.Config, service string) bool {
	s, ok := cfg.Service(service)
	return ok && slices.ContainsFunc(s.Monitors, func(m string) bool { return m != config.ConsulMonitor })
}

// both is what was known beside the news: what the catalog lists no longer stays as it was.
func both(known, news source.Entry) source.Entry {
	out := source.Entry{Read: news.Read, Instances: slices.Clone(news.Instances)}
	for _, in := range known.Instances {
		if _, listed := news.Find(in.Addr); !listed {
			out.Instances = append(out.Instances, in)
		}
	}
	slices.SortFunc(out.Instances, func(a, b source.Instance) int { return a.Addr.Compare(b.Addr) })
	source.Bound(out.Instances)
	return out
}

// release takes the news that need wait no longer, those that wait longest first, with one
// plan for all.
func (c *catalogs) release(now time.Time) {
	if len(c.pace.held) == 0 {
		return
	}
	c.pace.forget(now)
	oldest := slices.SortedFunc(maps.Keys(c.pace.held), func(a, b string) int {
		return cmp.Or(c.pace.held[a].since.Compare(c.pace.held[b].since), cmp.Compare(a, b))
	})
	next, changed := c.known, false
	for _, service := range oldest {
		entry := c.admit(service, c.pace.held[service].entry, now).After(next[service])
		if !entry.SamePlaces(next[service]) {
			next, changed = next.With(service, entry), true
		}
	}
	if changed && c.replace(next, now) {
		for _, service := range oldest {
			c.keep(service)
		}
	}
}

// replace makes a catalog the known one, and reports whether that is in use.
func (c *catalogs) replace(next source.Catalog, now time.Time) bool {
	before := c.known
	c.known = next
	if c.e.replan(func() *plan.Plan { return c.e.plan(c.file) }, now, true) != nil {
		c.known = before // forced, so that it is a fault of ours, and logged
		return false
	}
	return true
}
