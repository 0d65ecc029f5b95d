package guard

import (
	"net/netip"
	"time"
)

// Limits of the proofs of one resolver.
const (
	PerSecond = 5 // handshakes in all; 1 for each /24 or /48
	netsKept  = 1024
)

// Budget says when a proof may begin. The zero value is ready.
type Budget struct {
	last [PerSecond]Stamp // when the last ones began
	next int
	nets map[netip.Prefix]Stamp
}

// Allow reports whether a proof of ip may begin now, and counts it if so.
func (b *Budget) Allow(ip Addr, now Stamp) bool {
	if t := b.last[b.next]; t != 0 && now.Sub(t) < time.Second {
		return false
	}
	bits := 24
	if !ip.Unmap().Is4() {
		bits = 48
	}
	p, err := ip.Unmap().Prefix(bits)
	if err != nil {
		return false
	}
	if t, ok := b.nets[p]; ok && now.Sub(t) < time.Second {
		return false
	}
	if b.nets == nil || len(b.nets) >= netsKept {
		b.nets = map[netip.Prefix]Stamp{}
	}
	b.nets[p] = now
	b.last[b.next] = now
	b.next = (b.next + 1) % PerSecond
	return true
}

// Used returns how many proofs began in the last second.
func (b *Budget) Used(now Stamp) (n int) {
	for _, t := range b.last {
		if t != 0 && now.Sub(t) < time.Second {
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
// ten minutes more were answered than not.
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
