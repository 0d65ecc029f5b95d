package engine

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// tellAgain is how long the same refusal is not told again after it ended and
// came back. It is counted all the same.
const tellAgain = time.Minute

// refusal is a move that is wanted and not made.
type refusal struct{ why, subject string }

// refusals knows which moves are being refused, so that each is counted and told
// when it begins, and not at every publish.
type refusals struct {
	now   map[refusal]bool
	told  map[refusal]time.Time
	fresh map[string][]string // to tell: subjects by why
}

func newRefusals() refusals {
	return refusals{now: map[refusal]bool{}, told: map[refusal]time.Time{}, fresh: map[string][]string{}}
}

// set notes whether a move is refused, and reports whether that just began.
func (r *refusals) set(on bool, why, subject string, now time.Time) bool {
	k := refusal{why, subject}
	switch was := r.now[k]; {
	case on == was:
		return false
	case !on:
		delete(r.now, k)
		return false
	}
	r.now[k] = true
	r.note(k, now)
	return true
}

// note has a refusal told unless it was a moment ago.
func (r *refusals) note(k refusal, now time.Time) {
	if last, ok := r.told[k]; ok && now.Sub(last) < tellAgain {
		return
	}
	if len(r.told) > 1000 {
		clear(r.told)
	}
	r.told[k] = now
	r.fresh[k.why] = append(r.fresh[k.why], k.subject)
}

// tellRefusals tells what a publish would have liked to do, and why it did not.
func (e *Engine) tellRefusals(s *steer.Snapshot) {
	set := func(on bool, why, subject string) {
		if e.refused.set(on, why, subject, s.At) {
			e.count.refused[why]++
		}
	}
	for r := range s.Regions {
		set(s.Regions[r].Refused, RefusedCap, s.Plan.Regions[r].Name)
	}
	for _, i := range s.Built {
		st, name := s.State(i), s.Plan.Services[i].Name
		set(st.Pending, RefusedFrozen, name)
		set(st.Reason == steer.ReasonPanic, RefusedNoBackup, name)
		set(len(st.Void) > 0, RefusedVoid, name)
	}
	if n := e.core.HeldBack(); n > 0 {
		e.count.refused[RefusedBrake] += uint64(n)
		e.refused.note(refusal{RefusedBrake, many(n, "check", "checks")}, s.At)
	}
	for _, why := range refusedWhys {
		if subjects := e.refused.fresh[why]; len(subjects) > 0 {
			e.tellRefusal(why, subjects)
		}
	}
	clear(e.refused.fresh)
}

var refusedWhys = []string{RefusedCap, RefusedBrake, RefusedFrozen, RefusedNoBackup, RefusedVoid}

// tellRefusal tells of all that is refused for one reason at once.
func (e *Engine) tellRefusal(why string, subjects []string) {
	for i := range subjects {
		subjects[i] = people(subjects[i])
	}
	slices.Sort(subjects)
	text := refusedText[why][min(len(subjects)-1, 1)]
	ev := journal.Event{Kind: journal.Refused, Why: why, Count: len(subjects), Text: some(subjects) + " " + text}
	switch why {
	case RefusedCap:
		ev.Region = subjects[0]
	case RefusedBrake:
	default:
		ev.Services = subjects
	}
	e.log.Warn("move refused", "why", why, "count", len(subjects), "which", some(subjects), "text", text)
	e.record(ev)
}

// refusedText says why something does not move, and why several do not.
var refusedText = map[string][2]string{
	RefusedCap:      same2("would be down, but as many regions as limits.regions_out allows are out already"),
	RefusedBrake:    same2("would be down, but the brake is on"),
	RefusedFrozen:   {"would move, but an operator froze it", "would move, but an operator froze them"},
	RefusedNoBackup: {"has nothing healthy to move to, and is left to its last resort", "have nothing healthy to move to, and are left to their last resort"},
	RefusedVoid:     {"would be left without any endpoint by a drain, which does not act on it", "would be left without any endpoint by a drain, which does not act on them"},
}

func same2(text string) [2]string { return [2]string{text, text} }
