// Package journal keeps what happened: a bounded history in memory, written to
// disk beside the work, so that a post-mortem does not begin with grep.
package journal

import (
	"slices"
	"strings"
	"time"
)

// Kind is what an event is about.
type Kind string

// The kinds.
const (
	Started  Kind = "start"    // of the resolver
	Stopped  Kind = "stop"     // of the resolver, if it had the time to say so
	Crashed  Kind = "crash"    // of the process before, by a fault of this program
	Check    Kind = "check"    // endpoints whose checks changed their verdict
	Region   Kind = "region"   // a region is judged down, or up again
	Moved    Kind = "move"     // services that answer from elsewhere
	Ramp     Kind = "ramp"     // services that begin to answer a part of the clients from a better pool, or more
	Refused  Kind = "refused"  // a move that was wanted and not made
	Override Kind = "override" // made, lifted, ended, or about to end
	Freeze   Kind = "freeze"   // made, lifted or ended
	Failback Kind = "failback" // asked for by an operator
	Brake    Kind = "brake"    // on or off
	Reload   Kind = "reload"   // of failover.yaml or the Corefile: taken or refused
	State    Kind = "state"    // the disk: lost, or back
	Sharing  Kind = "sharing"  // other resolvers: heard, or no longer
	Overload Kind = "overload" // more questions wait for upstreams than may
	Guard    Kind = "guard"    // names of others: they fail, stand in, are refused, are well again
)

// Kinds is every kind, in the order in which they are documented.
var Kinds = []Kind{Started, Stopped, Crashed, Check, Region, Moved, Ramp, Refused, Override, Freeze, Failback, Brake, Reload, State, Sharing, Overload, Guard}

// MaxNames bounds the names that one event lists; Count says how many there were.
const MaxNames = 1000

// Event is something that happened, to one thing or to many alike at once. Its
// JSON is on disk and in the API: fields may be added, none is renamed.
type Event struct {
	ID   uint64    `json:"id"` // ascending; microseconds of the epoch, as far as they are distinct
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	Text string    `json:"text"` // the event in a sentence

	Region    string   `json:"region,omitempty"`
	Services  []string `json:"services,omitempty"`  // at most MaxNames
	Endpoints []string `json:"endpoints,omitempty"` // at most MaxNames
	Count     int      `json:"count,omitempty"`     // of services or endpoints, those not listed included
	From      string   `json:"from,omitempty"`      // move: regions; check: verdict
	To        string   `json:"to,omitempty"`
	Why       string   `json:"why,omitempty"` // stable: a cause, a reason, or why it was refused
	Who       string   `json:"who,omitempty"` // the peer that did it
	Target    string   `json:"target,omitempty"`
}

// Concerns reports whether an event is about a target: a region, a service, or an
// endpoint as service/endpoint or alone.
func (e *Event) Concerns(target string) bool {
	if target == "" || target == e.Target || target == e.Region {
		return true
	}
	service, endpoint, both := strings.Cut(target, "/")
	return slices.Contains(e.Services, target) || slices.Contains(e.Endpoints, target) ||
		both && slices.Contains(e.Services, service) && slices.Contains(e.Endpoints, endpoint) ||
		slices.Contains(strings.Split(e.From, "+"), target) || slices.Contains(strings.Split(e.To, "+"), target)
}
