package share

import "context"

// Kept is the kind of the records in which guards keep names in common. Their target
// is a digest of the server block and the name.
const Kept = "kept"

// Stock is what guards keep in common.
type Stock struct {
	Here      []Record // of this observer's zone
	Elsewhere []Record // of all others, up to ten minutes ago
}

// Keeper is a Share that also holds what guards keep. It is apart from the four
// verbs: what happens to it does nothing to agreement.
type Keeper interface {
	// Keep stores records of kind Kept for this observer's zone, as Put does.
	Keep(ctx context.Context, r []Record) error
	// Kept returns the stock once it is not what it last returned.
	Kept(ctx context.Context) (Stock, error)
}
