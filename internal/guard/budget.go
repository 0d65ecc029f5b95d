package guard

import (
	"net/netip"
	"slices"
	"time"
)

// PerSecond is how many proofs a resolver begins in a second at most, one of them in
// a /24 or /48.
const PerSecond = 5

// Budget says when a proof may begin. The zero value is ready.
type Budget struct {
	last  [PerSecond]begun // the last ones: more do not begin within a second
	next  int
	queue [PerSecond]begun // urgent ones that found no room
	tail  int

	spares [maxSpares]begun // the last ones of what only others keep
	spare  int
}

// queued is how long room is kept for an urgent proof that found none. Who wants it
// asks again before.
const queued = 250 * time.Millisecond

// begun is a proof that began.
type begun struct {
	at  Stamp
	net netip.Prefix
}

// lately reports whether it began within the last second. One in a far future was
// noted by a clock that was set back since.
func (b *begun) lately(now Stamp) bool { return b.within(now, time.Second) }

func (b *begun) within(now Stamp, limit time.Duration) bool {
	d := now.Sub(b.at)
	return b.at != 0 && d < limit && d > -limit
}

// Need is how much depends on a proof.
type Need uint8

// The needs.
const (
	Spare  Need = iota // of what only others keep: it leaves room, for one of them may lie
	Plain              // of what is known here
	Urgent             // a client waits for it: it goes before the others
)

// What those of what only others keep leave to others: so many proofs of a second, and in
// a network all but one in some seconds.
const (
	spared     = 2
	spareEvery = 5 * time.Second
	maxSpares  = (PerSecond - spared) * 5 // that may begin meanwhile
)

// Allow reports whether a proof of ip may begin now, and counts it if so.
func (b *Budget) Allow(ip Addr, need Need, now Stamp) bool {
	urgent := need == Urgent
	if need == Spare && b.Used(now) >= PerSecond-spared {
		return false
	}
	bits := 24
	if !ip.Unmap().Is4() {
		bits = 48
	}
	p, err := ip.Unmap().Prefix(bits)
	if err != nil || !p.IsValid() {
		return false
	}
	switch {
	case b.full(p, now) && urgent:
		b.queue[b.tail] = begun{now, p}
		b.tail = (b.tail + 1) % PerSecond
		return false
	case b.full(p, now), !urgent && b.isKept(p, now), need == Spare && b.hadSpare(p, now):
		return false
	}
	if need == Spare {
		b.spares[b.spare] = begun{now, p}
		b.spare = (b.spare + 1) % maxSpares
	}
	b.last[b.next] = begun{now, p}
	b.next = (b.next + 1) % PerSecond
	return true
}

// full reports whether there is no room for a proof in a network.
func (b *Budget) full(net netip.Prefix, now Stamp) bool {
	return b.last[b.next].lately(now) ||
		slices.ContainsFunc(b.last[:], func(p begun) bool { return p.net == net && p.lately(now) })
}

// hadSpare reports whether a network has had a proof of what only others keep lately.
func (b *Budget) hadSpare(net netip.Prefix, now Stamp) bool {
	return slices.ContainsFunc(b.spares[:], func(p begun) bool { return p.net == net && p.within(now, spareEvery) })
}

// isKept reports whether the room there is in a network is kept for an urgent proof:
// any in its network, and the last one of all.
func (b *Budget) isKept(net netip.Prefix, now Stamp) bool {
	scarce := b.Used(now) == PerSecond-1
	return slices.ContainsFunc(b.queue[:], func(p begun) bool { return p.within(now, queued) && (scarce || p.net == net) })
}

// Used returns how many proofs began in the last second.
func (b *Budget) Used(now Stamp) (n int) {
	for i := range b.last {
		if b.last[i].lately(now) {
			n++
		}
	}
	return n
}

// Ears tell whether it is the members that are silent, or we that are deaf.
type Ears struct {
	heard [32]struct {
		at     Stamp
		silent bool
	}
	next int
}

// Note takes in a proof.
func (e *Ears) Note(p Proof, now Stamp) {
	if p == Unproven {
		return
	}
	e.heard[e.next].at, e.heard[e.next].silent = now, p == Silent
	e.next = (e.next + 1) % len(e.heard)
}

// Hush reports whether a member's silence is its own: of the proofs of the last
// ten minutes more were answered than not, if only by a reset.
func (e *Ears) Hush(now Stamp) bool {
	answered, silent := 0, 0
	for _, h := range e.heard {
		switch {
		case h.at == 0 || now.Sub(h.at) > recheck:
		case h.silent:
			silent++
		default:
			answered++
		}
	}
	return answered > silent
}
