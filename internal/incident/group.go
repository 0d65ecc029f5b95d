package incident

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// lookBack bounds how many drafts an event is compared with.
const lookBack = 64

// grouper gives each event to an incident that it belongs to.
type grouper struct {
	drafts []*draft
	owner  map[string]*draft // the latest incident in which an endpoint failed
	mover  map[string]*draft // the latest incident for which a service moved
}

func (g *grouper) add(e *journal.Event) {
	d := g.find(e)
	if d == nil {
		d = &draft{single: !begins(e)}
		g.drafts = append(g.drafts, d)
	}
	d.events = append(d.events, *e)
	if d.single {
		return
	}
	d.take(e)
	if begins(e) {
		for _, end := range e.Endpoints {
			g.owner[end] = d
		}
	}
	if e.Kind == journal.Moved {
		for _, s := range e.Services {
			g.mover[s] = d
		}
	}
}

// begins reports whether an event may be the first of an incident: a failure.
func begins(e *journal.Event) bool {
	return e.Region != "" && e.To == "down" && (e.Kind == journal.Check || e.Kind == journal.Region)
}

// find returns the latest incident that an event belongs to, nil if there is none.
func (g *grouper) find(e *journal.Event) *draft {
	belongs := rule(e)
	if belongs == nil {
		return nil
	}
	for n := len(g.drafts) - 1; n >= max(0, len(g.drafts)-lookBack); n-- {
		if d := g.drafts[n]; !d.single && belongs(d) {
			return d
		}
	}
	return nil
}

// rule returns what an incident must meet for an event to belong to it, nil if the event
// never belongs to one. Acts of people never do: they are to be seen by themselves.
func rule(e *journal.Event) func(*draft) bool {
	switch e.Kind { //nolint:exhaustive // the others stand by themselves
	case journal.Check:
		return checkRule(e)
	case journal.Region:
		return func(d *draft) bool { return slices.Contains(d.regions, e.Region) && (d.open() || d.near(e.At)) }
	case journal.Moved:
		return func(d *draft) bool { return hasAny(d.away, e.Services) || d.left(e) }
	case journal.Ramp:
		return func(d *draft) bool { return hasAny(d.away, e.Services) }
	case journal.Refused:
		return func(d *draft) bool {
			return d.open() && (len(e.Services) == 0 && e.Region == "" || slices.Contains(d.regions, e.Region) || hasAny(d.services, e.Services))
		}
	case journal.Brake:
		return (*draft).open
	}
	return nil
}

func checkRule(e *journal.Event) func(*draft) bool {
	switch {
	case begins(e):
		return func(d *draft) bool {
			if d.near(e.At) {
				return slices.Contains(d.regions, e.Region) || hasAny(d.services, e.Services)
			}
			return d.open() && hasAny(d.failed, e.Endpoints)
		}
	case e.Region != "" && e.To == "up":
		return func(d *draft) bool { return hasAny(d.down, e.Endpoints) }
	}
	return nil
}

func hasAny[V any](in map[string]V, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := in[name]; return ok })
}

// near reports whether a failure at a time lies close to the latest of the incident.
func (d *draft) near(at time.Time) bool { return at.Sub(d.lastDown) <= Near }

func (d *draft) open() bool { return len(d.down) > 0 || len(d.away) > 0 }

// left reports whether a move leaves what failed.
func (d *draft) left(e *journal.Event) bool {
	if !d.open() {
		return false
	}
	return slices.ContainsFunc(regionsOf(e.From), func(region string) bool {
		return slices.Contains(d.judged, region) || slices.Contains(d.regions, region) && hasAny(d.services, e.Services)
	})
}
