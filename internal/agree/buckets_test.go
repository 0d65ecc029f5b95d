package agree

import (
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func digestsOf(ids ...uint64) (d Digests) {
	for _, id := range ids {
		d.Add(id)
	}
	return d
}

// keys returns IDs as an engine makes them: of keys that are much alike.
func keys(n int) (ids []uint64) {
	for i := range n {
		h := fnv.New64a()
		_, _ = h.Write([]byte("tcp 192.0.2.10:" + strconv.Itoa(i)))
		ids = append(ids, h.Sum64())
	}
	return ids
}

// One check more, or another one, silences its own bucket and no other.
func TestOneCheckSilencesItsBucket(t *testing.T) {
	ids := keys(1001)
	for i, id := range ids[:1000] {
		mine, theirs := digestsOf(ids[:1000]...), digestsOf(slices.Delete(slices.Clone(ids[:1000]), i, i+1)...)
		if got, want := mine.Alike(theirs[:]), AllBuckets&^BucketOf(id); got != want {
			t.Fatalf("check %d less: alike %x, want %x", i, got, want)
		}
		theirs.Add(ids[1000])
		if got, want := mine.Alike(theirs[:]), AllBuckets&^BucketOf(id)&^BucketOf(ids[1000]); got != want {
			t.Fatalf("check %d replaced: alike %x, want %x", i, got, want)
		}
	}
}

// The order in which checks stand in a file is none of the others' business.
func TestDigestsKnowNoOrder(t *testing.T) {
	ids := keys(1000)
	d := digestsOf(ids...)
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	if other := digestsOf(ids...); d.Alike(other[:]) != AllBuckets {
		t.Error("another order has other digests")
	}
}

// Who does not say which checks it judges, or says it otherwise, is alike in
// nothing; neither is who says that it has none, but where nobody has any.
func TestWhoIsAlikeInNothing(t *testing.T) {
	d := digestsOf(keys(1000)...)
	for _, other := range [][]uint32{nil, {}, d[:63], append(slices.Clone(d[:]), 0), make([]uint32, NumBuckets)} {
		if got := d.Alike(other); got != 0 {
			t.Errorf("%d digests: alike %x", len(other), got)
		}
	}
	none := Digests{}
	if none.Alike(none[:]) != AllBuckets {
		t.Error("two without checks differ")
	}
}

// Keys that are much alike are spread over all buckets, about evenly.
func TestBucketsAreEven(t *testing.T) {
	const each = 200
	var count [NumBuckets]int
	for _, id := range keys(each * NumBuckets) {
		b := BucketOf(id)
		if bits.OnesCount64(uint64(b)) != 1 {
			t.Fatalf("%x is in buckets %x", id, b)
		}
		count[bits.TrailingZeros64(uint64(b))]++
	}
	if least, most := slices.Min(count[:]), slices.Max(count[:]); least < each*2/3 || most > each*4/3 {
		t.Errorf("%d to %d checks in a bucket, want about %d", least, most, each)
	}
}

// Versions that divide checks in other ways have no voice with each other: this is
// not to change unnoticed.
func TestBucketsAreAFormat(t *testing.T) {
	const id = 0x0123456789abcdef
	d := digestsOf(id)
	b := bits.TrailingZeros64(uint64(BucketOf(id)))
	if NumBuckets != 64 || b != 33 || d[b] != 0x89022cea {
		t.Errorf("%d buckets, check in %d as %#x", NumBuckets, b, d[b])
	}
}
