package below

import "context"

// Note goes with a question through the plugins below one, and tells it what only
// they know. A question of a client has none unless somebody wants to know; one of
// our own always has.
type Note struct {
	Own     bool // it is ours: those who ask are few, and bounded in number
	Truth   bool // of ours: what stands in for a name that fails is no answer to it
	Refused bool // we refused it because too many wait; its name's servers said nothing
}

type noteKey struct{}

// WithNote returns a context that carries a note.
func WithNote(ctx context.Context, n *Note) context.Context {
	return context.WithValue(ctx, noteKey{}, n)
}

// NoteOf returns the note of a question, nil if it has none.
func NoteOf(ctx context.Context) *Note {
	n, _ := ctx.Value(noteKey{}).(*Note)
	return n
}
