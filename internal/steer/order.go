package steer

import (
	"math/bits"
	"net/netip"
	"slices"
)

// MaxAnswers is the largest number of addresses that an answer can carry.
const MaxAnswers = 32

// maxShuffled bounds the addresses among which an answer's are drawn one by one.
// Of longer lists a random stretch is taken, which is as fair.
const maxShuffled = 64

// list returns the addresses of the asked family. Decide leaves it to who wants
// them: the set lies where its answer needs not look.
func (d *Decision) list() *list {
	if d.v6 {
		return &d.set.v6
	}
	return &d.set.v4
}

// Len returns how many addresses the answer will carry.
func (d *Decision) Len(limit int) int {
	if d.State == nil {
		return 0
	}
	return min(len(d.list().of), limit, MaxAnswers)
}

// Has reports whether the chosen pool has an address of the asked family.
func (d *Decision) Has() bool { return len(d.list().of) > 0 }

// Addrs writes the answer's addresses to out, in a random order that follows
// their weights, and returns how many there are: at most len(out).
func (d *Decision) Addrs(out []netip.Addr) int {
	of := d.list().of
	n := min(len(of), len(out))
	switch {
	case len(of) == 1:
		out[0] = of[0].ip
	case len(of) > maxShuffled:
		at := int(reduce(mix(d.seed), uint64(len(of))))
		for i := range n {
			out[i] = of[(at+i)%len(of)].ip
		}
	case d.list().even:
		d.shuffle(out[:n])
	default:
		d.shuffleWeighted(out[:n])
	}
	return n
}

// shuffle draws without weights (Fisher and Yates).
func (d *Decision) shuffle(out []netip.Addr) {
	var idx [maxShuffled]uint8
	n := len(d.list().of)
	for i := range n {
		idx[i] = uint8(i)
	}
	h := d.seed
	for i := range out {
		h = mix(h + 0x9e3779b97f4a7c15)
		j := i + int(reduce(h, uint64(n-i)))
		idx[i], idx[j] = idx[j], idx[i]
		out[i] = d.list().of[idx[i]].ip
	}
}

// shuffleWeighted draws by weight without putting back.
func (d *Decision) shuffleWeighted(out []netip.Addr) {
	var taken [maxShuffled]bool
	total, h := d.list().total, d.seed
	for i := range out {
		h = mix(h + 0x9e3779b97f4a7c15)
		at := uint32(reduce(h, uint64(total)))
		for j := range d.list().of {
			if taken[j] {
				continue
			}
			w := d.list().of[j].weight
			if at < w {
				taken[j], out[i] = true, d.list().of[j].ip
				total -= w
				break
			}
			at -= w
		}
	}
}

// Target returns the name behind the first address of the answer, for services
// that do not flatten; ok is false if it is no name.
func (d *Decision) Target(p *Plan, service int32) (name string, ok bool) {
	if len(d.list().of) == 0 || d.list().of[0].end.pool < 0 {
		return "", false
	}
	var first [1]netip.Addr
	d.Addrs(first[:])
	ref := d.list().of[slices.IndexFunc(d.list().of, func(l listed) bool { return l.ip == first[0] })].end
	t := p.Services[service].Pools[ref.pool].Endpoints[ref.end].Target
	return t, t != ""
}

// reduce maps a random 64-bit number to 0..n-1 without a division (Lemire 2019).
func reduce(h, n uint64) uint64 {
	hi, _ := bits.Mul64(h, n)
	return hi
}
