// Package share is what observers tell each other. Local is one that is alone.
package share

import (
	"context"

	"github.com/detour-dns/detour/internal/health"
)

// Share is where several resolvers agree: four verbs, so that agreement can come
// from any store. A resolver never waits for it to answer a query, and sharing
// can correct a local decision but never forbid one.
type Share interface {
	// Publish says what this observer holds of its checks.
	Publish(ctx context.Context, mine []Opinion) error
	// Theirs returns what the other observers hold, fresh ones only.
	Theirs(ctx context.Context) ([]Observer, error)
	// Put stores a record for all: an override, a freeze, a pool in use.
	Put(ctx context.Context, r Record) error
	// Records returns all records.
	Records(ctx context.Context) ([]Record, error)
}

// Opinion is one observer's verdict on one check. A check of which an observer
// says nothing is Up in its eyes.
type Opinion struct {
	Check   string // key
	Verdict health.Verdict
	Cause   health.Cause
}

// Observer is one other resolver in its role of prober.
type Observer struct {
	Name     string
	Zone     string
	Braked   bool
	Opinions []Opinion
}

// Record is one decision that all observers share.
type Record struct {
	Kind   string // override, freeze, in_use
	Target string
	Value  []byte
}

// Local shares with nobody.
type Local struct{}

// Publish implements Share.
func (Local) Publish(context.Context, []Opinion) error { return nil }

// Theirs implements Share: there are no others.
func (Local) Theirs(context.Context) ([]Observer, error) { return nil, nil }

// Put implements Share. What is decided here is kept on disk, by the engine.
func (Local) Put(context.Context, Record) error { return nil }

// Records implements Share.
func (Local) Records(context.Context) ([]Record, error) { return nil, nil }

var _ Share = Local{}
