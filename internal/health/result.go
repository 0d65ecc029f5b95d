package health

import "time"

// Result is the outcome of one probe of one check.
type Result struct {
	At      time.Time     // when the probe ended
	Cause   Cause         // CauseNone if it succeeded
	Latency time.Duration // from start to the answer, 0 if none came
	Detail  string        // for people: "503 Service Unavailable"; at most 120 bytes, no secrets, no body
	Expiry  time.Time     // not-after of the leaf certificate, zero if none was seen
	Steps   []Step        // what took how long, in order; at most 8

	// Wildcard: the certificate is for the name by a wildcard only. It is enough
	// for a service of our own, and no proof that the machine is that name's.
	Wildcard bool

	Peer *Peer // what a probe that identifies saw; nil for all others
}

// Peer is what the far side of a TLS connection showed of itself.
type Peer struct {
	Accepted bool // it took the connection
	Text     bool // it said something in readable text, and no TLS
	Unnamed  bool // it knows no such name: the alert unrecognized_name
	Shown    bool // it showed a certificate
	Held     bool // and proved to hold its key

	// Of the certificate:
	Named   bool          // it is for the name, if only by a wildcard
	Trusted bool          // an authority vouches for it, its dates aside
	Ended   time.Duration // how long ago it ended, below zero: it begins in so long; 0 = it is in date
	Key     string        // digests of its key and its issuer
	Issuer  string
}

// Step is one timed part of a probe, measured from the probe's start.
type Step struct {
	Name string        // dial, handshake, request, first_byte, body, reply
	At   time.Duration // when it was done
}

// Verdict is what we hold of a check or an endpoint.
type Verdict uint8

// The verdicts. Unknown is the zero value: no news is not bad news.
const (
	Unknown Verdict = iota
	Up
	Down
)

// String returns the verdict's stable name.
func (v Verdict) String() string {
	switch v {
	case Up:
		return "up"
	case Down:
		return "down"
	case Unknown:
		return "unknown"
	}
	return "invalid"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; unknown words are Unknown.
func (v *Verdict) UnmarshalText(b []byte) error {
	switch string(b) {
	case "up":
		*v = Up
	case "down":
		*v = Down
	default:
		*v = Unknown
	}
	return nil
}
