package failover

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/journal"
)

// refusedCorefile is why the last change of the Corefile was refused; nil if it was
// taken, or if nobody tells.
var refusedCorefile atomic.Pointer[string]

// warnings are what is wrong with the Corefile in use.
var warnings atomic.Pointer[[]string]

// CorefileWarns puts into `status` what is wrong with the Corefile in use, none if
// nothing is.
func CorefileWarns(texts []string) { warnings.Store(&texts) }

// CorefileRefused puts into the history of all engines, and into `status`, that a
// Corefile was refused and why. It is for the server that reads it.
func CorefileRefused(name string, why error) {
	text := why.Error()
	refusedCorefile.Store(&text)
	first, rest, more := strings.Cut(text, "\n")
	if more {
		first += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	engines.tell(journal.Event{Kind: journal.Reload, To: "refused", Why: "corefile", Text: name + " refused, what was in use stays: " + first})
}

// CorefileTaken says that a Corefile was taken into use, or holds again what is.
func CorefileTaken(name string) {
	refusedCorefile.Store(nil)
	engines.tell(journal.Event{Kind: journal.Reload, To: "taken", Why: "corefile", Text: name + " taken"})
}

// Lacks reports whether a file cannot be read for want of something that this process
// or its machine lacks, and has each engine tell of it, and of its end.
func Lacks(name string, err error) bool {
	_, lack := files.Lack(err)
	if !lack {
		err = nil // whatever else is wrong with it is told by who reads it
	}
	engines.mu.Lock()
	defer engines.mu.Unlock()
	for _, s := range engines.shared {
		if e := s.engine(); e != nil {
			e.Lacks(name, err)
		}
	}
	return lack
}

// tell puts an event into the history of each engine that runs.
func (r *registry) tell(ev journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ev.At = time.Now()
	for _, s := range r.shared {
		if e := s.engine(); e != nil {
			e.Journal().Add(ev)
		}
	}
}

// troubles says for `status` what its engine does not see.
func (s *shared) troubles(now time.Time) []string {
	out := corefileTroubles()
	if text := s.overloaded(now); text != "" {
		out = append(out, text)
	}
	if text := s.strange.text(now, s.load().Plan.Config); text != "" {
		out = append(out, text)
	}
	return out
}

// corefileTroubles says what is wrong with the Corefile.
func corefileTroubles() (out []string) {
	if why := refusedCorefile.Load(); why != nil {
		out = append(out, "the last change of the Corefile was refused, the one before is in use: "+*why)
	}
	if texts := warnings.Load(); texts != nil {
		out = append(out, *texts...)
	}
	return out
}
