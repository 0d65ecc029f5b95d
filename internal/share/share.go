// Package share is what observers tell each other.
package share

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Share is where several resolvers agree: six verbs, so that agreement can come
// from any store. No query ever waits for one of them. They are safe for
// concurrent use, of each verb one call at a time.
type Share interface {
	// Publish makes o what the others read of this observer, in place of what it
	// published before.
	Publish(ctx context.Context, o Opinion) error
	// Theirs returns what the other observers hold once that is not what it last
	// returned, or after a while, so that each return proves the store alive. What
	// is not fresh by the store's own account is an error.
	Theirs(ctx context.Context) (Read, error)
	// Put stores records for all.
	Put(ctx context.Context, r []Record) error
	// Records returns all records, as Theirs does.
	Records(ctx context.Context) ([]Record, error)
	// Use makes u what the others read of what this observer uses. It does not wait
	// for a store.
	Use(u Use) error
	// Uses returns what observers use, as Theirs does: also of observers who are gone,
	// and what this one said before it was started.
	Uses(ctx context.Context) ([]Use, error)
}

// Opinion is what one observer holds: of each check that is assigned to it and
// not listed, that it is Up; of what is not assigned to it, nothing.
type Opinion struct {
	Observer string // its name, unique in its zone
	Boot     string // random, another one at each start
	Zone     string // where it probes from
	Version  string
	Plan     string   // hash of its checks, for people
	Buckets  []uint32 // digests of its checks, as agree.Digests: where they differ it has no voice; nil: it has none
	Decision string   // hash of what it answers
	Assigned [][]byte // what it probes of its checks, as agree.Marks; nil: all
	Braked   bool     // it doubts itself, and has no voice
	Judged   []Judged // what is not Up
	Summed   []Summed // instead of Judged where there are too many
}

// ID tells an observer from all others of the cluster: its zone and its name. A
// token is bound to both.
func (o *Opinion) ID() string { return MemberID(o.Zone, o.Observer) }

// MemberID is the ID of the observer of that name in a zone.
func MemberID(zone, name string) string { return zone + "/" + name }

// ZoneOf returns the zone of an observer's ID.
func ZoneOf(id string) string { return id[:max(0, strings.LastIndexByte(id, '/'))] }

// Judged is a verdict other than Up on a check.
type Judged struct {
	ID      uint64
	Verdict health.Verdict
	Cause   health.Cause
	Age     time.Duration
}

// Summed says that all checks of a region with this verdict are too many to list,
// but for those in Except.
type Summed struct {
	Region string
	Cause  health.Cause
	Except []uint64 // checks of the region that are Up
}

// Read is what one reading of the others found.
type Read struct {
	Others []Opinion
	Stores []Store
}

// Store is one place where observers meet.
type Store struct {
	Name   string // "consul dc1"
	At     time.Time
	Error  string // why it was not read now, "" if it was
	Writes int    // since the start
	Bytes  int64  // read and written since the start
	Odd    int    // values that were ignored: foreign, damaged, too large
}

// Version orders the versions of a record: the higher N wins, of equal ones the
// writer whose name is greater, and of one and the same that it is over: whatever is
// decided next wins over that.
type Version struct {
	N      uint64 `json:"n"`
	Writer string `json:"writer"`
	Over   bool   `json:"over,omitempty"` // its time has passed; only of a record that is deleted
}

// Less reports whether o wins over v.
func (v Version) Less(o Version) bool {
	return v.N < o.N || v.N == o.N && v.Writer < o.Writer ||
		v.N == o.N && v.Writer == o.Writer && !v.Over && o.Over
}

// The kinds of records.
const (
	Override = "override"
	Freeze   = "freeze"
	Failback = "failback" // ends the returns that are pending when it is first seen, and nothing later
)

// Record is one decision of an operator that all observers share. One that is deleted stays, so
// that an older copy does not come back; so does one whose time has passed, so that
// who finds it later does not begin to obey it.
type Record struct {
	Kind    string          `json:"kind"`
	Target  string          `json:"target"`
	Version Version         `json:"version"`
	Made    time.Time       `json:"made"` // by the writer's clock: for people
	TTL     time.Duration   `json:"ttl"`  // from when a reader first sees it, by its own clock; 0: for ever
	Deleted bool            `json:"deleted,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"` // of the kind's type
}
