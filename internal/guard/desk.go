package guard

import (
	"sync"
	"time"
)

// Report is how it stands with one guarded name, for people and programs.
type Report struct {
	Name     string    `json:"name"`
	Block    string    `json:"block"`              // the server block that guards it
	Pattern  bool      `json:"pattern,omitempty"`  // found by a pattern
	Standing bool      `json:"standing,omitempty"` // kept addresses are answered now
	Failing  string    `json:"failing,omitempty"`  // how its DNS fails: "nodata for IPv4"
	Since    time.Time `json:"since,omitzero"`     // since when it fails
	Good     time.Time `json:"good,omitzero"`      // its last good answer
	Refusal  string    `json:"refusal,omitempty"`  // why nothing stands in for what fails
	Proves   bool      `json:"proves,omitempty"`   // it proved itself while it was well
	Members  []Member  `json:"members"`
}

// Guards are the running guards of the process.
type Guards interface {
	// Report returns the names that fail, those that stand in first, and as many of those that
	// are well as there is room for, by name; and of how many something is kept.
	Report(room int) (names []Report, kept int)
	// Of returns what is kept of a name, with its last dot, by server block.
	Of(name string) []Report
	// Forget drops what is kept of a name, and reports whether anything was.
	Forget(name string) bool
	// Accept makes what the name's DNS says now the truth, and reports whether the
	// name is guarded.
	Accept(name string) bool
	// Fault says why what is kept is not on disk, "" if it is, or need not be.
	Fault() string
	// Proofs returns how many proofs began in the last second.
	Proofs() int
}

// StateDir is the key under which a Caddy instance holds the state directory of the
// process, as failover.yaml names it, for guards that are told of no other. Block is
// the number of the server block that it is of, from 1; 0 is for all others.
type StateDir struct{ Block int }

// Desk is where the running guards are found by those that show them to people.
// The zero value is empty. It is safe for concurrent use.
type Desk struct {
	mu   sync.Mutex
	at   Guards
	hear func(Event)
}

// Event is something that befell guarded names.
type Event struct {
	Text  string // in a sentence
	Names []string
}

// Front is the process's desk.
var Front Desk

// Open says where the guards are.
func (d *Desk) Open(g Guards) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = g
}

// Guards returns the running guards, nil if there are none.
func (d *Desk) Guards() Guards {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// Listen makes hear be called with each event, in the place of who listened
// before. It must not wait. nil ends it.
func (d *Desk) Listen(hear func(Event)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hear = hear
}

// Tell tells who listens.
func (d *Desk) Tell(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hear != nil {
		d.hear(e)
	}
}
