package engine

import (
	"fmt"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/journal"
)

// Blind is what this machine keeps the resolver from seeing: checks that have no
// verdict because their probes fail here, not there. What they judge is answered as
// if it were well, so that somebody must be told.
type Blind struct {
	Checks  int
	Cause   health.Cause // of the first of them, as the rest
	Detail  string
	Check   int32
	Service string // that it judges; of several the first
}

// String is for people, "" if there is nothing to tell.
func (b *Blind) String() string {
	if b.Checks == 0 {
		return ""
	}
	more := ""
	if b.Checks > 1 {
		more = fmt.Sprintf(" and %d more", b.Checks-1)
	}
	return fmt.Sprintf("%s no verdict for a reason of this machine: %s (%s), for %s%s; what has no verdict is answered as if it were well",
		many(b.Checks, "check has", "checks have"), b.Cause, b.Detail, b.Service, more)
}

// blind returns what cannot be seen at an instant. A check of a plan that is taken
// since a while has had time for a verdict.
func (c *Core) blind(now, taken time.Time) (b Blind) {
	for i := range c.states {
		if !c.sightless(int32(i), now, taken) {
			continue
		}
		if b.Checks++; b.Checks == 1 {
			b.Cause, b.Detail, b.Check = c.states[i].Last.Cause, c.states[i].Last.Detail, int32(i)
		}
	}
	if b.Checks > 0 {
		for _, s := range c.Plan.Steer.ServicesOf(b.Check) {
			b.Service = people(c.Plan.Steer.Services[s].Name)
			break
		}
	}
	return b
}

func (c *Core) sightless(i int32, now, taken time.Time) bool {
	s, k := &c.states[i], &c.Plan.Checks[i]
	return s.Verdict == health.Unknown && s.Last.Cause.Local() && k.Region >= 0 && c.probed(i) &&
		now.Sub(taken) >= k.Params.Stale && now.Sub(s.Since) >= k.Params.Stale
}

// tellBlind tells when sight is lost, and when it is back.
func (e *Engine) tellBlind(now time.Time) {
	b, was := e.core.blind(now, e.reload.At), e.unseen
	e.unseen = b
	switch {
	case b.Checks > 0 && was.Checks == 0:
		e.log.Warn(b.String())
		e.record(journal.Event{Kind: journal.Check, Text: b.String(), Services: []string{b.Service}, Count: b.Checks, To: health.Unknown.String(), Why: b.Cause.String()})
	case b.Checks == 0 && was.Checks > 0:
		text := "no check is without a verdict for a reason of this machine any more"
		e.log.Info(text)
		e.record(journal.Event{Kind: journal.Check, Text: text, Services: []string{was.Service}, From: health.Unknown.String()})
	}
}
