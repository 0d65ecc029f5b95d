package admin

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// EventWriter writes events and incidents for people, a line each; incidents have lines
// below. The day is written before what happened on another day than what was before.
type EventWriter struct {
	To   io.Writer
	last time.Time
}

// Event writes an event.
func (o *EventWriter) Event(e *Event) error { return o.line(e.At, string(e.Kind), e.Text, e.Who) }

// Incident writes an incident with its parts. now is for what still goes on.
func (o *EventWriter) Incident(x *Incident, now time.Time) error {
	text := x.Text
	if x.Kind == kindIncident {
		text += "; " + x.state(now)
	}
	for _, p := range x.Parts {
		when := timeOf(p.At, x.At)
		if p.Last.Sub(p.At) >= time.Second {
			when += " to " + timeOf(p.Last, p.At)
		}
		text += fmt.Sprintf("\n%-20s  %-9s  %s", when, p.What, p.Text)
	}
	return o.line(x.At, x.Kind, text, x.Who)
}

// Acts writes what to do now, a line each.
func (o *EventWriter) Acts(acts []Act, now time.Time) error {
	s := Status{Acts: acts}
	for _, text := range s.actLines() {
		if err := o.line(now, "do", text, ""); err != nil {
			return err
		}
	}
	return nil
}

// state says whether an incident is over, and what is still not as it was.
func (x *Incident) state(now time.Time) string {
	switch {
	case x.Over:
		return "over after " + ago(x.Last.Sub(x.At))
	case len(x.Down) == 0:
		return "all up again, not back yet: " + fewNames(x.Away)
	case len(x.Down) < x.Failed:
		return fmt.Sprintf("ongoing, %s so far, %d still down", ago(now.Sub(x.At)), len(x.Down))
	}
	return "ongoing, " + ago(now.Sub(x.At)) + " so far"
}

func (o *EventWriter) line(at time.Time, kind, text, who string) error {
	at = at.Local()
	if o.last.IsZero() || !sameDay(o.last, at) {
		if _, err := fmt.Fprintln(o.To, at.Format("Monday, 2 January 2006")); err != nil {
			return err
		}
	}
	o.last = at
	const below = "\n                    " // a text of several lines
	if who != "" {
		who = "  (" + who + ")"
	}
	_, err := fmt.Fprintf(o.To, "%s  %-8s  %s%s\n", at.Format(time.TimeOnly), kind, strings.ReplaceAll(text, "\n", below), who)
	return err
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

// timeOf writes a time, with its day if that is not the day of what is above it.
func timeOf(t, above time.Time) string {
	if t = t.Local(); !sameDay(t, above.Local()) {
		return t.Format("Jan _2 15:04:05")
	}
	return t.Format(time.TimeOnly)
}
