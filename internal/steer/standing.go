package steer

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Standing is the rank of an endpoint, or a pool, for one service. A lower one
// is never used while a higher one exists. Between the named ones lie half
// steps, for pools in which too few endpoints have the best standing.
type Standing uint8

// The standings.
const (
	None     Standing = 0  // drained or disabled: never answered
	Dark     Standing = 4  // Down, and nothing answers
	Reserve  Standing = 6  // drained, but allowed as a last resort
	Sick     Standing = 8  // Down, but something answers
	Doubtful Standing = 12 // Unknown and last seen Down, or Down only from here
	Held     Standing = 16 // Up, but in hold-down, waiting for failback, or its region is Down
	Ready    Standing = 20
)

const half = 1

// String returns the standing's name; a half step below it ends in "-".
func (s Standing) String() string {
	name, ok := standingNames[s]
	if ok {
		return name
	}
	if name, ok = standingNames[s+half]; ok {
		return name + "-"
	}
	return "invalid"
}

var standingNames = map[Standing]string{
	None: "none", Dark: "dark", Reserve: "reserve", Sick: "sick",
	Doubtful: "doubtful", Held: "held", Ready: "ready",
}

// MarshalText implements encoding.TextMarshaler.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Panic reports whether a choice at s is one of last resort.
func (s Standing) Panic() bool { return s <= Sick }

// Why is the rule that gave an endpoint its standing.
type Why uint8

// The reasons.
const (
	WhyUp         Why = iota // its checks pass
	WhyUnproven              // no verdict yet, and never seen Down
	WhySiblings              // no verdict, while every proven endpoint of the pool is Down
	WhyHoldDown              // Up, but not for long enough
	WhyReleased              // an override on it ended not long ago
	WhyRegion                // Up, but its region is Down
	WhyFailback              // Up, but traffic returns only later
	WhyRamp                  // Up, and traffic is returning step by step
	WhyStale                 // no news, and last seen Down
	WhyHere                  // Down only from here
	WhyLone                  // there is only the word of one other observer
	WhyDown                  // its checks fail
	WhyUnresolved            // a name that was not looked up yet
	WhyDrained
	WhyDisabled
	WhyForcedDown
	WhyForcedUp
)

// String returns the reason in words.
func (w Why) String() string {
	return [...]string{
		"up", "no verdict yet", "no verdict yet, and all others of the pool are down",
		"hold-down", "override ended", "region down", "waiting for failback", "ramp",
		"no news, last seen down", "down only from here", "known by one other's word only", "down", "not looked up yet",
		"drained", "disabled", "forced down", "health ignored",
	}[w]
}

// handed reports whether it is an override in force that gave the standing.
func (w Why) handed() bool { return w == WhyDrained || w == WhyForcedDown || w == WhyForcedUp }

// judged reports whether it is the verdict that gave the standing.
func (w Why) judged() bool {
	switch w { //nolint:exhaustive // the others are people's, or of time
	case WhyUp, WhyDown, WhyHere, WhyLone, WhyUnproven, WhySiblings, WhyStale, WhyUnresolved:
		return true
	}
	return false
}

// MarshalText implements encoding.TextMarshaler.
func (w Why) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// EndpointState is what Build found of one endpoint.
type EndpointState struct {
	Standing Standing
	Why      Why
	best     uint8 // rank of its best addresses, see Addr.rank
	View     health.View
	Override string    // target of the override that acts on it, "" if none does
	Made     time.Time // when that was made, zero if nobody knows
	Until    time.Time // when it leaves hold-down, zero if it is in none
}

// verdictStanding ranks an endpoint by its verdict alone.
func verdictStanding(v health.View, siblingsDown bool) (Standing, Why) {
	switch {
	case v.Verdict == health.Up:
		return Ready, WhyUp
	case v.Verdict == health.Unknown && v.WasDown && v.Lone:
		return Doubtful, WhyLone
	case v.Verdict == health.Unknown && v.WasDown:
		return Doubtful, WhyStale
	case v.Verdict == health.Unknown && siblingsDown:
		return Doubtful, WhySiblings
	case v.Verdict == health.Unknown:
		return Ready, WhyUnproven
	case v.Lone:
		return Doubtful, WhyLone
	case v.Elsewhere:
		return Doubtful, WhyHere
	case v.Cause.Dark():
		return Dark, WhyDown
	}
	return Sick, WhyDown
}
