package agree

// NumBuckets is into how many parts observers divide their checks, to compare them
// part by part: two that do not have all checks in common hear each other on those
// of every part that is alike. It belongs to the format in which they speak.
const NumBuckets = 64

// Buckets is a set of them, one bit each.
type Buckets uint64

// AllBuckets is the set of all.
const AllBuckets = ^Buckets(0)

// BucketOf returns the bucket of the check with this ID, as a set of one.
func BucketOf(id uint64) Buckets { return 1 << bucket(mix(id)) }

func bucket(mixed uint64) uint64 { return mixed >> 58 }

// Digests tells which checks an observer judges: of each bucket the sum of its
// checks, whatever their order. The zero value has none.
type Digests [NumBuckets]uint32

// Add counts a check, which must be counted once.
func (d *Digests) Add(id uint64) {
	m := mix(id)
	d[bucket(m)] += uint32(m)
}

// Alike returns the buckets in which another observer judges the same checks: only
// there does it mean Up if that one does not mention a check. One that has not said
// it, or that divides its checks otherwise, has none.
func (d *Digests) Alike(other []uint32) (alike Buckets) {
	if len(other) != NumBuckets {
		return 0
	}
	for b := range d {
		if d[b] == other[b] {
			alike |= 1 << b
		}
	}
	return alike
}

// mix spreads an ID, which may differ from the next one in a few bits only, over
// all bits: the finalizer of MurmurHash3.
func mix(id uint64) uint64 {
	id ^= id >> 33
	id *= 0xff51afd7ed558ccd
	id ^= id >> 33
	id *= 0xc4ceb9fe1a85ec53
	return id ^ id>>33
}
