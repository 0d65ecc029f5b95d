package incident

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// homecoming is the reason of a move to where a service belongs.
const homecoming = "policy"

// draft is an incident in the making.
type draft struct {
	single   bool // an event that belongs to none
	events   []journal.Event
	regions  []string
	judged   []string
	services map[string]bool
	failed   map[string]string // endpoints that failed, with the cause
	down     map[string]bool   // of these, that fail now
	away     map[string]bool   // services that moved and are not back
	moved    phase
	back     phase
	up       phase
	refused  []journal.Event
	lastDown time.Time
}

// phase is a Phase in the making: names, each with where it went.
type phase struct {
	at, last time.Time
	to       map[string]string
	share    int
}

func (p *phase) note(at time.Time, names []string, to string) {
	if p.to == nil {
		p.at, p.to = at, map[string]string{}
	}
	p.last = at
	for _, name := range names {
		p.to[name] = to
	}
}

func (p *phase) done() Phase {
	out := Phase{At: p.at, Last: p.last, Names: slices.Sorted(maps.Keys(p.to)), To: map[string]int{}, Share: p.share}
	for _, to := range p.to {
		out.To[to]++
	}
	return out
}

// take adds an event that belongs to the incident.
func (d *draft) take(e *journal.Event) {
	switch e.Kind { //nolint:exhaustive // no other kind belongs to one
	case journal.Check, journal.Region:
		d.takeHealth(e)
	case journal.Moved:
		d.takeMove(e)
	case journal.Ramp:
		d.takeRamp(e)
	case journal.Refused, journal.Brake:
		d.refused = append(d.refused, *e)
	}
}

func (d *draft) takeHealth(e *journal.Event) {
	if !begins(e) {
		d.takeRecovery(e)
		return
	}
	if d.services == nil {
		d.services, d.failed, d.down, d.away = map[string]bool{}, map[string]string{}, map[string]bool{}, map[string]bool{}
	}
	d.lastDown = e.At
	d.regions = including(d.regions, e.Region)
	if e.Kind == journal.Region {
		d.judged = including(d.judged, e.Region)
	}
	for _, s := range e.Services {
		d.services[s] = true
	}
	for _, end := range e.Endpoints {
		d.failed[end], d.down[end] = e.Why, true
		delete(d.up.to, end)
	}
}

func including(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

func (d *draft) takeRecovery(e *journal.Event) {
	for _, end := range e.Endpoints {
		delete(d.down, end)
	}
	if e.Kind == journal.Check {
		d.up.note(e.At, e.Endpoints, e.Region)
	}
}

func (d *draft) takeMove(e *journal.Event) {
	if e.Why == homecoming {
		d.back.note(e.At, e.Services, e.To)
		for _, s := range e.Services {
			delete(d.away, s)
		}
		return
	}
	d.moved.note(e.At, e.Services, e.To)
	for _, s := range e.Services {
		d.away[s] = true
		delete(d.back.to, s)
	}
}

func (d *draft) takeRamp(e *journal.Event) {
	if e.To == "0" {
		for _, s := range e.Services {
			delete(d.back.to, s)
		}
		return
	}
	d.back.note(e.At, e.Services, e.Region)
	d.back.share, _ = strconv.Atoi(e.To)
}

// settle holds what events say against what is so now. Only the latest incident of an
// endpoint or a service can say that it lasts.
func (d *draft) settle(g *grouper, now Now) {
	if now.Down != nil {
		d.down = lasting(d, d.failed, g.owner, now.Down)
	}
	if now.Away != nil {
		d.away = lasting(d, d.moved.to, g.mover, now.Away)
	}
	if !hasAny(d.away, slices.Collect(maps.Keys(d.back.to))) {
		d.back.share = 0 // nobody is on the way
	}
}

// lasting returns those names of which the latest incident is d and which are still so.
func lasting(d *draft, names map[string]string, latest map[string]*draft, still func(string) bool) map[string]bool {
	out := map[string]bool{}
	for name := range names {
		if latest[name] == d && still(name) {
			out[name] = true
		}
	}
	return out
}

func (d *draft) incident() Incident {
	if d.single {
		return Incident{Events: d.events}
	}
	causes := map[string]int{}
	for _, why := range d.failed {
		causes[why]++
	}
	return Incident{
		Events: d.events, Regions: d.regions, Judged: d.judged, Causes: causes,
		Services: slices.Sorted(maps.Keys(d.services)), Endpoints: slices.Sorted(maps.Keys(d.failed)),
		Down: slices.Sorted(maps.Keys(d.down)), Away: slices.Sorted(maps.Keys(d.away)),
		Moved: d.moved.done(), Back: d.back.done(), Up: d.up.done(), Refused: d.refused,
	}
}
