package engine

import (
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// soon is how long before its end an override is told of, so that whoever needs
// it can make it longer.
const soon = 30 * time.Minute

// tellEnds tells what ended by itself between two publishes, and what ends soon.
func (e *Engine) tellEnds(old *Published, now time.Time) {
	last := now
	if old != nil {
		last = old.At
	}
	for i := range e.core.overrides {
		if o := &e.core.overrides[i]; ended(o.Until, last, now) {
			e.tellHand(journal.Override, o.Target, o.Kind.String()+" of "+people(o.Target)+" by "+o.Owner+" ended: its time is over", "", "")
		}
	}
	for i := range e.core.freezes {
		if f := &e.core.freezes[i]; ended(f.Until, last, now) {
			e.tellHand(journal.Freeze, f.Target, "freeze of "+orAll(f.Target)+" by "+f.Owner+" ended: its time is over", "", "")
		}
	}
}

// tellSoon tells of overrides that end soon, each once.
func (e *Engine) tellSoon(now time.Time) {
	for i := range e.core.overrides {
		o := &e.core.overrides[i]
		left := o.Until.Sub(now)
		if o.Until.IsZero() || left > soon || left <= 0 || e.warned[o.Target].Equal(o.Until) || shorter(o) {
			continue
		}
		e.warned[o.Target] = o.Until
		e.log.Warn("override ends soon", "target", people(o.Target), "do", o.Kind, "owner", o.Owner, "in", left.Round(time.Second))
		e.record(journal.Event{
			Kind: journal.Override, Target: people(o.Target),
			Text: o.Kind.String() + " of " + people(o.Target) + " by " + o.Owner + " ends in " + left.Round(time.Minute).String() + "; then its traffic returns by failback and ramp",
		})
	}
}

// shorter reports whether an override was made for less than the warning's time:
// whoever made it knows.
func shorter(o *steer.Override) bool { return !o.Made.IsZero() && o.Until.Sub(o.Made) <= soon }

// What the names of those begin with who are no peer of the API.
const (
	byResolver = "resolver "
	byFile     = "file "
)

// tellHand tells what became of an operator's decision. who is the peer that asked,
// whom the API has logged; or one of another kind, or "" if it ended by itself.
func (e *Engine) tellHand(kind journal.Kind, target, text, reason, who string) {
	if reason != "" {
		text += ": " + reason
	}
	switch {
	case who == "":
		e.log.Info("hands: "+text, "target", orAll(people(target)))
	case strings.HasPrefix(who, byResolver), strings.HasPrefix(who, byFile):
		e.log.Info("hands: "+text, "target", orAll(people(target)), "by", who)
	}
	e.record(journal.Event{Kind: kind, Target: people(target), Text: text, Who: who})
}

// tellOverride tells that an override is in force.
func (e *Engine) tellOverride(o *steer.Override, who string) {
	text := o.Kind.String() + " of " + people(o.Target) + " by " + o.Owner + lasting(o.Until, time.Now())
	if old, ok := e.hands.overrides[o.Target]; ok && (old.Until.IsZero() || time.Now().Before(old.Until)) {
		text += ", in place of the " + old.Kind.String() + " by " + old.Owner + lasting(old.Until, time.Now())
	}
	e.tellHand(journal.Override, o.Target, text, o.Reason, who)
}

// lifted says how a decision ended that was to last for longer here.
func lifted(over bool) string {
	if over {
		return " ended: its time is over"
	}
	return " lifted"
}

func orAll(target string) string {
	if target == "" {
		return "everything"
	}
	return people(target)
}

// lasting says until when a decision holds.
func lasting(until, now time.Time) string {
	if until.IsZero() {
		return ""
	}
	if !until.After(now) {
		return ", is over since " + until.UTC().Format(time.RFC3339) + " and does nothing"
	}
	return " for " + until.Sub(now).Round(time.Second).String()
}
