// Package incident groups the events of a history: what failed together, what moved
// because of it, and how it came back. It has no clock and no I/O: all times are those
// of the events.
package incident

import (
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// Near is how close in time two failures lie that are one incident if they share a region
// or a service.
const Near = 5 * time.Minute

// Incident is what failed together, and what followed; or an event that belongs to none.
type Incident struct {
	Events []journal.Event // its own, oldest first; never none

	// What follows is empty for an event that belongs to no incident.

	Regions   []string       // in which something failed, in the order of the first failures
	Judged    []string       // of these, the regions that were judged down
	Services  []string       // that lost an endpoint, sorted
	Endpoints []string       // that failed, sorted
	Causes    map[string]int // failures by their cause
	Down      []string       // endpoints that still fail, sorted
	Away      []string       // services that moved and are not back, sorted
	Moved     Phase          // services that left
	Back      Phase          // services that are back, or on their way
	Up        Phase          // endpoints that are up again
	Refused   []journal.Event
}

// Phase is a part of an incident: what happened to many things between two instants.
type Phase struct {
	At, Last time.Time
	Names    []string       // sorted
	To       map[string]int // names by the region that they went to, or began to return to
	Share    int            // percent of the clients that the last step of a ramp gave; 0: none is under way
}

// Single reports whether it is an event that belongs to no incident.
func (i *Incident) Single() bool { return len(i.Regions) == 0 }

// At is the time of the first event.
func (i *Incident) At() time.Time { return i.Events[0].At }

// Last is the time of the last event.
func (i *Incident) Last() time.Time {
	return slices.MaxFunc(i.Events, func(a, b journal.Event) int { return a.At.Compare(b.At) }).At
}

// Over reports whether nothing of it fails any more, and everything is back.
func (i *Incident) Over() bool { return len(i.Down) == 0 && len(i.Away) == 0 }

// Now says what is still so. What events cannot tell is seen by it: that a name is gone
// from the configuration, or that one of two checks of an address fails on.
type Now struct {
	Down func(endpoint string) bool // it fails
	Away func(service string) bool  // it is answered from elsewhere than configured
}

// Group makes incidents of events, which come oldest first. What belongs to none stands by
// itself. The order is that of the first events.
func Group(events []journal.Event, now Now) []Incident {
	g := grouper{owner: map[string]*draft{}, mover: map[string]*draft{}}
	for n := range events {
		g.add(&events[n])
	}
	out := make([]Incident, 0, len(g.drafts))
	for _, d := range g.drafts {
		d.settle(&g, now)
		out = append(out, d.incident())
	}
	return out
}

// regionsOf are the regions in the text of a move: "aws/us-east-1+gcp/europe-west1".
func regionsOf(text string) []string { return strings.Split(text, "+") }
