// Package agree turns what several observers hold of a check into one verdict.
//
// It is pure: no clock, no random source, no I/O. The principle above every rule
// here: sharing may correct a local decision, and hold it for at most Hold while
// a fresh observer contradicts it; it can never forbid one.
package agree

import (
	"slices"

	"github.com/detour-dns/detour/internal/health"
)

// Voice is the verdict of one fresh observer on one check. Who has none (Unknown,
// not assigned, braked) has no voice, or abstains: see Input.
type Voice struct {
	Zone    string
	Verdict health.Verdict // Up or Down; Unknown abstains
	Cause   health.Cause   // of Down
}

// Outcome is what a vote came to. The zero value is that there is no agreement:
// what was agreed before stands.
type Outcome struct {
	Verdict health.Verdict // Unknown: no agreement
	Cause   health.Cause   // of Down
}

// Vote counts voices by zone: a zone says what most of its observers say, and a
// tie abstains. Of three zones or more a strict majority decides; of two, both;
// in a single one the majority of its observers, of two both, one alone. At least
// quorum observers must say what is agreed; 0 and 1 ask for no more than that. One that
// abstains is counted, and says nothing.
func Vote(voices []Voice, quorum int) Outcome {
	var room [16]tally
	said := majority(byZone(voices, room[:0]))
	n := 0
	for _, v := range voices {
		n += one(v.Verdict == said)
	}
	switch {
	case said == health.Unknown || n < quorum:
		return Outcome{}
	case said == health.Up:
		return Outcome{Verdict: health.Up}
	}
	return Outcome{health.Down, commonest(voices)}
}

// byZone counts the voices of each zone, in the order in which zones are heard.
func byZone(voices []Voice, zones []tally) []tally {
	for _, v := range voices {
		at := slices.IndexFunc(zones, func(z tally) bool { return z.zone == v.Zone })
		if at < 0 {
			at = len(zones)
			zones = append(zones, tally{zone: v.Zone})
		}
		zones[at].add(v)
	}
	return zones
}

// majority is what the zones agree on, Unknown if they do not.
func majority(zones []tally) health.Verdict {
	if len(zones) == 1 {
		return zones[0].majority()
	}
	all := tally{}
	for i := range zones {
		all.join(zones[i])
	}
	return all.majority() // of two zones more than half is both
}

// tally counts the voices of a zone, or the zones.
type tally struct {
	zone     string
	up, down int
	silent   int // those that abstain, which a majority must outweigh too
}

func (t *tally) add(v Voice) {
	t.up += one(v.Verdict == health.Up)
	t.down += one(v.Verdict == health.Down)
	t.silent += one(v.Verdict == health.Unknown)
}

// join counts what a zone says.
func (t *tally) join(z tally) {
	switch z.majority() {
	case health.Up:
		t.up++
	case health.Down:
		t.down++
	case health.Unknown:
		t.silent++
	}
}

// majority is what more than half say, Unknown if nothing is.
func (t *tally) majority() health.Verdict {
	switch n := t.up + t.down + t.silent; {
	case 2*t.up > n:
		return health.Up
	case 2*t.down > n:
		return health.Down
	}
	return health.Unknown
}

// commonest is the cause that most of those give who say Down, of several the one
// that is listed first in package health: the darker.
func commonest(voices []Voice) health.Cause {
	var said [256]int32
	best := health.CauseTimeout
	for _, v := range voices {
		if v.Verdict != health.Down {
			continue
		}
		said[v.Cause]++
		if n := said[v.Cause]; n > said[best] || n == said[best] && v.Cause < best {
			best = v.Cause
		}
	}
	return best
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
