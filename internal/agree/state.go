package agree

import (
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Hold is how long a local verdict waits for the others' consent. States are
// stepped once a second, so that no decision is later by more than ten.
const Hold = 9 * time.Second

// Bounds of an observer's view of the others.
const (
	Fresh  = 15 * time.Second // a read that ended longer ago than that says nothing of now
	Forget = 10 * time.Minute // so long after the last read only local verdicts count
)

// Contact is how it stands between this observer and the others.
type Contact uint8

// The contacts.
const (
	Alone     Contact = iota // nobody else is there: the local verdict counts
	Agreeing                 // the others are heard
	Silent                   // they were: what was agreed stands until the local verdict turns
	Forgotten                // they were, too long ago: the local verdict counts
)

// String returns the contact in words.
func (c Contact) String() string {
	return [...]string{"alone", "agreeing", "silent", "forgotten"}[c]
}

// ContactAt returns how it stands, from the age of the last good read and whether
// anybody else was fresh in it.
func ContactAt(age time.Duration, others bool) Contact {
	switch {
	case age > Forget:
		return Forgotten
	case age > Fresh:
		return Silent
	case others:
		return Agreeing
	}
	return Alone
}

// Input is what is known of one check at an instant.
type Input struct {
	Mine     health.View // the local verdict
	Others   []Voice     // of fresh observers, without this one; room behind them may be written to
	Doubting []Voice     // zones of those that would have a voice, but doubt themselves, or are to probe it and do not say
	Contact  Contact
	Quorum   int
	Zone     string // of this observer
	Braked   bool   // this observer doubts itself: it has no voice
	Sound    bool   // most self-checks pass, or there are none: what is seen only from here is believed here
	Blind    bool   // others probe it, or this observer has not settled since it began to: Mine says nothing
}

// State is what is agreed of one check. The zero value knows nothing, and takes
// the local verdict as it comes.
type State struct {
	agreed health.View
	known  bool           // agreed means anything
	voted  bool           // others had a part in it
	mine   health.Verdict // at the last step
	since  time.Time      // when it turned to that
	apart  bool           // it contradicts the agreed one
	here   bool           // and counts here
	waits  bool           // this observer abstains
	beaten bool           // a majority contradicts it
	lone   bool           // agreed is Down, but there is only the word of one other
	worn   bool           // and that says Up
	well   time.Time      // since when the only one that speaks says Up of what is Down, zero if it does not
	view   health.View
}

// View returns what steering sees.
func (s *State) View() health.View { return s.view }

// Apart reports whether the local verdict contradicts the agreed one, or abstains: time
// alone, or the health of this observer, may then change what steering sees.
func (s *State) Apart() bool { return s.apart || s.waits || !s.well.IsZero() }

// Step brings the state up to date.
func (s *State) Step(in Input, now time.Time) {
	if in.Blind {
		in.Mine.Verdict = health.Unknown
	}
	turned := in.Mine.Verdict != s.mine
	if turned || s.since.IsZero() {
		s.mine, s.since = in.Mine.Verdict, now
	}
	s.waits = false
	s.rest(in.Contact == Agreeing && !s.well.IsZero())
	switch in.Contact {
	case Agreeing:
		s.weigh(&in, now)
	case Silent:
		if !s.known || turned && in.Mine.Verdict != health.Unknown {
			s.follow(&in)
			s.beaten = false
		}
	case Alone, Forgotten:
		s.follow(&in)
	}
	s.dissent(&in, now)
	s.view = s.see(&in.Mine, now)
}

// weigh lets the observers vote.
func (s *State) weigh(in *Input, now time.Time) {
	voices := in.Others
	if in.Mine.Verdict != health.Unknown && !in.Braked {
		voices = append(voices, Voice{in.Zone, in.Mine.Verdict, in.Mine.Cause})
	} else {
		voices = s.abstain(in, voices, now)
	}
	out := Vote(voices, in.Quorum)
	s.beaten = out.Verdict != health.Unknown && out.Verdict != in.Mine.Verdict
	lone := in.isLone(out)
	switch s.rest(lone && out.Verdict == health.Up); {
	case out.Verdict == health.Unknown && s.known && len(voices) > 0:
		s.undecided(in)
	case out.Verdict == health.Unknown, out.Verdict == in.Mine.Verdict && !s.known:
		s.follow(in)
	case lone && s.isSeen() && out.Verdict == health.Up:
		s.wear(now)
	default:
		s.overrule(out, lone && !s.isSeen(), in, now)
	}
}

// isSeen reports whether more than one agreed on Down, or this observer saw it.
func (s *State) isSeen() bool { return s.isDown() && (!s.lone || s.worn) }

// isDown reports whether it is Down, or was when it was last heard of.
func (s *State) isDown() bool {
	return s.agreed.Verdict == health.Down || s.agreed.Verdict == health.Unknown && s.agreed.WasDown
}

// rest ends the time for which the only one that speaks says Up, if it does not.
func (s *State) rest(says bool) {
	if !says {
		s.well = time.Time{}
	}
}

// wear makes a doubt of a Down of which the only one that speaks says Up for as long as
// Forget. It does not end it: one word is not enough for that.
func (s *State) wear(now time.Time) {
	if s.well.IsZero() {
		s.well = now
	}
	if now.Sub(s.well) >= Forget {
		s.lone, s.worn = true, true
	}
}

// isLone reports whether what a vote came to is the word of one other alone.
func (in *Input) isLone(out Outcome) bool {
	return in.Mine.Verdict == health.Unknown && !in.Blind && !corroborated(in.Others, out.Verdict)
}

// corroborated reports whether more than one says so: two zones, or two observers where
// only one zone is heard.
func corroborated(voices []Voice, verdict health.Verdict) bool {
	var room [16]tally
	zones := byZone(voices, room[:0])
	if len(zones) == 1 {
		return zones[0].up >= 2 && verdict == health.Up || zones[0].down >= 2 && verdict == health.Down
	}
	n := 0
	for i := range zones {
		n += one(zones[i].majority() == verdict)
	}
	return n >= 2
}

// abstain adds those that do not know, this observer first: its own verdict counts for
// nothing now, and what is left of the others may be one, and that one a thief. They must
// be outweighed. It has no part in what others probe for it, where those of them that say
// nothing abstain, nor in what it has had no verdict on for longer than Forget: it may never
// have one. The word of one other alone is then no more than a doubt.
func (s *State) abstain(in *Input, voices []Voice, now time.Time) []Voice {
	if s.waits = !in.Blind && (in.Braked || now.Sub(s.since) <= Forget); s.waits {
		voices = append(voices, Voice{Zone: in.Zone})
	}
	return append(voices, in.Doubting...)
}

// overrule takes what a vote came to. A local Down that counts already is not held
// back once more, but counts on as a doubt: the others may not yet have said what
// they hold now, as when the store was away.
func (s *State) overrule(out Outcome, lone bool, in *Input, now time.Time) {
	counts := s.view.Verdict == health.Down && in.Mine.Verdict == health.Down
	s.voted = len(in.Others) > 0 || s.voted && s.agreed.Verdict == out.Verdict
	s.turn(out.Verdict, out.Cause, now, lone && out.Verdict == health.Down)
	s.here = s.here || counts && in.Sound && out.Verdict == health.Up
}

// undecided leaves all as before, which is Up where a Down was decided here alone,
// before the others were heard: from now on it counts only here.
func (s *State) undecided(in *Input) {
	if s.voted || s.agreed.Verdict != health.Down || in.Mine.Verdict != health.Down ||
		!slices.ContainsFunc(in.Others, func(v Voice) bool { return v.Verdict == health.Up }) {
		return
	}
	s.turn(health.Up, health.CauseNone, in.Mine.Since, false)
	s.here = in.Sound
}

// follow takes the local verdict as the agreed one. Where there is none, what was agreed
// counts as before; of a Down that nobody speaks of any more there is that it was so.
func (s *State) follow(in *Input) {
	mine := in.Mine
	if in.Blind {
		return
	}
	s.voted = s.voted && s.agreed.Verdict == mine.Verdict
	if !s.known {
		s.agreed, s.known, s.lone = mine, true, false
		return
	}
	wasDown, lone, worn := s.isDown(), s.lone, s.worn
	s.turn(mine.Verdict, mine.Cause, mine.Since, false)
	if s.agreed.WasDown = mine.WasDown; mine.Verdict == health.Unknown && wasDown {
		s.agreed.WasDown, s.lone, s.worn = true, lone, worn
	}
}

// turn changes the agreed verdict. An Up that turns Down is an ejection, whoever
// saw it, but not by the word of one other alone.
func (s *State) turn(to health.Verdict, cause health.Cause, since time.Time, lone bool) {
	a := &s.agreed
	if (a.Verdict == health.Up || s.lone && !s.worn) && to == health.Down && !lone {
		a.Ejected = a.Ejected.Add(since)
	}
	if a.Verdict != to {
		a.WasDown = false // Unknown is never voted for, and follow says it of its own
		a.Since = since
	}
	a.Verdict, a.Cause, s.known, s.lone, s.worn = to, cause, true, lone, false
	a.WasUp = a.WasUp || to == health.Up
}

// dissent lets a local verdict count that lasts for longer than Hold while the
// agreed one contradicts it: a Down here, as a doubt; an Up everywhere, unless a
// majority is against it.
func (s *State) dissent(in *Input, now time.Time) {
	mine := in.Mine.Verdict
	s.apart = mine != health.Unknown && mine != s.agreed.Verdict
	s.here = s.apart && s.here && mine == health.Down
	switch overdue := now.Sub(s.since) >= Hold && in.Sound; {
	case !s.apart || !overdue:
	case mine == health.Down:
		s.here = true
	case !s.beaten:
		s.follow(in)
		s.apart = false
	}
}

// see is the agreed verdict, or the local one where it counts.
func (s *State) see(mine *health.View, now time.Time) health.View {
	v := s.agreed
	v.Confirming = mine.Confirming || s.apart && !s.here && now.Sub(s.since) < Hold
	v.WasUp = v.WasUp || mine.WasUp
	v.Elsewhere, v.Lone = s.lone, s.lone
	if s.here {
		v.Verdict, v.Cause, v.Since, v.Elsewhere, v.Outvoted = health.Down, mine.Cause, mine.Since, true, s.beaten
		v.Lone = false
	}
	return v
}
