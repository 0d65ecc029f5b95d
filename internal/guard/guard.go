// Package guard decides what to answer for names that we do not own when their
// own DNS fails: it keeps the addresses of good answers, tells a failure from a
// change, chooses what stands in, and when to let go.
//
// It has no clock, no random source and no I/O: times are values, and what must
// be asked or proven is returned for others to do. Nothing here is safe for
// concurrent use but Standing.
package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what is kept of one name and family.
const (
	MaxMembers = 64 // addresses
	MaxChain   = 8  // CNAMEs in a row
	MaxAnswer  = 8  // addresses in one answer that stands in
)

// Stamp is an instant as Unix milliseconds; 0 is never. It is kept small, and it
// survives a restart.
type Stamp int64

// At returns t as a Stamp.
func At(t time.Time) Stamp { return Stamp(t.UnixMilli()) }

// Time returns s as a time.
func (s Stamp) Time() time.Time { return time.UnixMilli(int64(s)) }

// Add returns the instant d later.
func (s Stamp) Add(d time.Duration) Stamp { return s + Stamp(d.Milliseconds()) }

// Sub returns how long after t s is.
func (s Stamp) Sub(t Stamp) time.Duration { return time.Duration(s-t) * time.Millisecond }

// Failure is a way in which backends fail a name.
type Failure uint8

// The failures.
const (
	None     Failure = iota
	NXDomain         // they say that the name does not exist
	NoData           // that it has no address, or only CNAMEs
	Servfail         // that they could not find out, or will not say
	Timeout          // nothing
	Bogus            // that the signatures are wrong: SERVFAIL with EDE 5 to 12
	Change           // an address that is not the name's, by its proof
	Shrink           // far fewer addresses than usual
)

var failures = [...]string{"none", "nxdomain", "nodata", "servfail", "timeout", "bogus", "change", "shrink"}

// String returns the failure's word in the configuration.
func (f Failure) String() string { return failures[f] }

// MarshalText implements encoding.TextMarshaler.
func (f Failure) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; unknown words are None.
func (f *Failure) UnmarshalText(b []byte) error {
	*f = Failure(max(slices.Index(failures[:], string(b)), 0)) // #nosec G115 -- an index of eight
	return nil
}

// Failures is a set of failures.
type Failures uint8

// Usual are the failures that a guard stands in for unless it is told otherwise.
var Usual = Failures(0).With(NXDomain).With(NoData).With(Servfail).With(Timeout)

// With returns the set with f.
func (s Failures) With(f Failure) Failures { return s | 1<<f }

// Has reports whether f is in the set.
func (s Failures) Has(f Failure) bool { return s&(1<<f) != 0 }

// ParseFailure returns the failure of a word.
func ParseFailure(word string) (Failure, error) {
	i := slices.Index(failures[:], word)
	if i < 1 {
		return None, fmt.Errorf("unknown failure %q: use %s", word, strings.Join(failures[1:], ", "))
	}
	return Failure(i), nil
}

// Demand is what a member must do to prove that it still is the name's.
type Demand uint8

// The demands.
const (
	Auto Demand = iota // TLS if that worked while the name was healthy, else Age
	TLS                // a handshake with a certificate for the name itself
	TCP                // a connection
	Age                // nothing but to have been seen lately
)

// Rules are what a guard was told.
type Rules struct {
	On     Failures
	Demand Demand

	KeepProven   time.Duration // how long proven members stand in
	KeepUnproven time.Duration // and all others
	TTL          time.Duration // of what stands in

	// Place returns the provider and region of an address, or what comes nearest
	// to that. Two addresses of one place are no change.
	Place func(ip Addr) string
}
