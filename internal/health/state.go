package health

import "time"

// Params says how many results decide, and how old one may be.
type Params struct {
	Interval time.Duration // start to start of two probes at rest
	Timeout  time.Duration // of one probe
	Confirm  time.Duration // start to start while a change is being confirmed
	Stale    time.Duration // without news for this long: Unknown
	Fall     int           // failures in a row that turn Up into Down
	Rise     int           // successes in a row that turn Down into Up
}

// Bound returns the longest time from a silent fault to Down: one interval
// until the first probe starts, Fall probes that each take their whole timeout.
func (p Params) Bound() time.Duration {
	return p.Interval + time.Duration(p.Fall)*max(p.Timeout, p.Confirm)
}

// Context is what the world around a check says while a result is weighed.
type Context struct {
	Braked bool // we doubt ourselves: nothing turns Down
	Hasty  bool // traffic moved onto this endpoint within 2 min: sick causes need 3 x Fall
}

// State is what is known of one check. The zero value knows nothing.
//
//	verdict  + result                     -> verdict
//	Up         Fall failures in a row        Down (answered ones count until Rise successes in a row)
//	Down       Rise successes in a row       Up
//	Unknown    a success                     Up, if it was not last seen Down (then as Down)
//	Unknown    Fall failures in a row        Down
//	any        no news for Stale             Unknown
type State struct {
	Verdict Verdict
	Since   time.Time // when Verdict began
	Heard   time.Time // end of the last probe that said something about the endpoint
	Cause   Cause     // of the last failure; what a Down verdict is for
	Last    Result    // the last result, local ones included
	WasUp   bool      // has been Up since it was first checked
	WasDown bool      // Unknown: last seen Down
	Ejected Ejections // when it turned from Up to Down

	passes   uint8 // successes in a row
	fails    uint8 // failures in a row
	dark     uint8 // dark failures in a row
	answered uint8 // answered failures since the last Rise successes in a row
	refused  uint8 // those of them that were dark
	hint     bool  // Verdict is from long ago: the first result decides
}

// Restored is what a restart left of a check.
type Restored struct {
	Verdict Verdict
	Age     time.Duration // since Verdict was last confirmed
	Lasted  time.Duration // since Verdict began
	WasUp   bool
	Cause   Cause
	Ejected Ejections
}

// HintAge is the age from which a restored verdict is only a hint: the first
// result decides. Two minutes is long enough for a restart in place and shorter
// than any outage that a node was off for.
const HintAge = 2 * time.Minute

// Restore returns the state of a check whose last known verdict came from disk
// or from the check that an edit of its monitor replaced.
func Restore(r Restored, now time.Time) State {
	s := State{
		Verdict: r.Verdict, Since: now.Add(-r.Lasted), Heard: now.Add(-r.Age),
		Cause: r.Cause, WasUp: r.WasUp, Ejected: r.Ejected, hint: r.Age > HintAge,
	}
	if s.hint {
		s.WasDown = r.Verdict == Down
		s.Verdict, s.Since, s.Heard = Unknown, now, time.Time{}
	}
	return s
}

// Observe weighs a result and reports whether the verdict changed. A local
// cause is kept for display and changes nothing.
func (s *State) Observe(p Params, c Context, r Result) bool {
	s.Last = r
	if r.Cause.Local() {
		return false
	}
	s.Heard = r.At
	s.count(p, r.Cause)
	next := s.next(p, c, r.Cause)
	if next == s.Verdict {
		return false
	}
	s.turn(next, r.At)
	return true
}

func (s *State) count(p Params, c Cause) {
	if c.OK() {
		s.fails, s.dark = 0, 0
		if inc(&s.passes); int(s.passes) >= p.Rise {
			s.answered, s.refused = 0, 0
		}
		return
	}
	s.Cause, s.passes = c, 0
	inc(&s.fails)
	if c.Dark() {
		inc(&s.dark)
	} else {
		s.dark = 0
	}
	if c.Answered() {
		inc(&s.answered)
		if c.Dark() {
			inc(&s.refused)
		}
	}
}

// next is the table above State.
func (s *State) next(p Params, c Context, cause Cause) Verdict {
	if cause.OK() {
		if s.Verdict == Unknown && (!s.WasDown || s.hint) || int(s.passes) >= p.Rise {
			return Up
		}
		return s.Verdict
	}
	if s.Verdict == Down || !s.fallen(p, c) || c.Braked {
		return s.Verdict
	}
	return Down
}

func (s *State) fallen(p Params, c Context) bool {
	if s.hint && s.Verdict == Unknown && s.WasDown {
		return true
	}
	sick := p.Fall
	if c.Hasty {
		sick *= 3
	}
	return int(s.dark) >= p.Fall || int(s.refused) >= p.Fall ||
		int(s.fails) >= sick || int(s.answered) >= sick
}

func (s *State) turn(v Verdict, now time.Time) {
	if v == Down && (s.Verdict == Up || s.WasUp && !s.WasDown) {
		s.Ejected = s.Ejected.Add(now)
	}
	s.WasDown = v == Unknown && (s.Verdict == Down || s.WasDown)
	s.WasUp = s.WasUp || v == Up
	s.Verdict, s.Since, s.hint = v, now, false
	if v == Up {
		s.answered, s.refused = 0, 0
	}
}

// Forgive starts the count of failures anew, where those counted so far are
// put down to the observer.
func (s *State) Forgive() {
	if s.Verdict == Up {
		s.fails, s.dark, s.answered, s.refused = 0, 0, 0, 0
	}
}

// Age turns the verdict Unknown if nothing was heard for p.Stale, and reports
// whether it did. It must be called from time to time even when no result
// comes: a dead prober must not freeze the world.
func (s *State) Age(p Params, now time.Time) bool {
	if s.Verdict == Unknown || now.Sub(s.Heard) <= p.Stale {
		return false
	}
	s.turn(Unknown, now)
	s.passes, s.fails, s.dark = 0, 0, 0
	return true
}

// Confirming reports whether a change of the verdict is being confirmed, so
// that the next probe is due after Params.Confirm instead of Params.Interval.
func (s *State) Confirming() bool {
	switch s.Verdict {
	case Up:
		return s.fails > 0 || s.answered > 0
	case Down:
		return s.passes > 0
	case Unknown:
		return s.fails > 0 || s.passes > 0
	}
	return false
}

// Suspect reports whether the check was passing before the event at an instant,
// and failed its latest probe. What turned Down so shortly before that it belongs
// to the same event (see Params.Bound) was passing.
func (s *State) Suspect(p Params, event time.Time) (was, failed bool) {
	switch s.Verdict {
	case Up:
		return true, s.fails > 0
	case Down:
		lately := s.WasUp && event.Sub(s.Since) <= p.Bound()
		return lately, lately && s.fails > 0
	case Unknown:
	}
	return false, false
}

// Settled reports whether the check has a verdict that is not in doubt.
func (s *State) Settled() bool { return s.Verdict != Unknown && !s.Confirming() }

// inc counts without wrapping round.
func inc(n *uint8) {
	if *n < 255 {
		*n++
	}
}
