package agree

import (
	"cmp"
	"slices"
)

// Roster is the checks of an observer by bucket, in the order of their IDs: an order
// that all have in common who judge the same checks of a bucket, so that a bit says
// of each check whether it is marked.
type Roster struct {
	at   []place // by check; of who is in no bucket, bit is -1
	size [NumBuckets]int
}

type place struct{ bucket, bit int32 }

// Marks are bits for the checks of each bucket, the lowest of the first byte first.
// It belongs to the format in which observers speak.
type Marks [][]byte

// NewRoster orders checks by their IDs. Those for which counts is false are in no
// bucket.
func NewRoster(ids []uint64, counts func(check int) bool) *Roster {
	r := &Roster{at: make([]place, len(ids))}
	order := make([]int, 0, len(ids))
	for i := range ids {
		if r.at[i].bit = -1; counts(i) {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ids[a], ids[b]) })
	for _, i := range order {
		b := bucket(mix(ids[i]))
		r.at[i] = place{int32(b), int32(r.size[b])}
		r.size[b]++
	}
	return r
}

// Mark marks the checks for which f is true.
func (r *Roster) Mark(f func(check int) bool) Marks {
	m := make(Marks, NumBuckets)
	for b := range m {
		m[b] = make([]byte, r.bytes(b))
	}
	for i, at := range r.at {
		if at.bit >= 0 && f(i) {
			m[at.bucket][at.bit/8] |= 1 << (at.bit % 8)
		}
	}
	return m
}

func (r *Roster) bytes(bucket int) int { return (r.size[bucket] + 7) / 8 }

// Sound returns the buckets of which m has as many marks as there are checks. Of
// the others it says nothing.
func (r *Roster) Sound(m Marks) (sound Buckets) {
	for b := range m {
		if b < NumBuckets && len(m[b]) == r.bytes(b) {
			sound |= 1 << b
		}
	}
	return sound
}

// Marked reports whether a check is marked in m, of which its bucket is sound.
func (r *Roster) Marked(m Marks, check int) bool {
	at := r.at[check]
	return at.bit >= 0 && m[at.bucket][at.bit/8]&(1<<(at.bit%8)) != 0
}
