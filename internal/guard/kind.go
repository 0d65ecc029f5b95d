package guard

import (
	"cmp"
	"net/netip"
	"slices"
)

// Kind tells the addresses of a name that mean the same machines everywhere from those
// that mean others in another network. A name may have both, in two views: what stands
// in is of one of them.
type Kind uint8

// The kinds.
const (
	NoKind Kind = iota
	PublicKind
	PrivateKind
)

// kindOf returns the kind of an answer: one private address makes it private.
func kindOf(ips []Addr) Kind {
	if slices.ContainsFunc(ips, Private) {
		return PrivateKind
	}
	return PublicKind
}

// shared is the space between a provider and its customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// Private reports whether an address means another machine in another network:
// RFC 1918, RFC 4193, RFC 6598, link-local, loopback and unspecified ones.
func Private(ip Addr) bool {
	ip = ip.Unmap()
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || shared.Contains(ip)
}

// turns is how many good answers in a row make a family's kind another one. Those within
// a second are one: many clients may ask at once for what one lie says.
const turns = 3

// turn notes the kind of a good answer, and reports whether what stands in is of that
// kind now. A family of which nothing is known yet is public where the other one is.
func (n *Name) turn(v6 bool, kind Kind, now Stamp) bool {
	k := n.Of(v6)
	settled := k.Kind
	if settled == NoKind && n.Of(!v6).Kind == PublicKind {
		settled = PublicKind
	}
	if settled == NoKind || settled == kind {
		if k.Kind = kind; k.late != nil {
			k.late.odd = run{}
		}
		return true
	}
	l := k.lately()
	if !l.odd.add(now, 0) {
		return false
	}
	k.Kind, l.odd, k.Signed = kind, run{}, nil
	return true
}

// fits reports whether an address is of the kind that stands in.
func (k *Kept) fits(ip Addr) bool { return k.Kind == NoKind || Private(ip) == (k.Kind == PrivateKind) }

// mendKind makes the kind plausible: where none is known it is that of the member that
// was seen last, public in doubt. What is lent says nothing of it.
func (k *Kept) mendKind() {
	own := slices.DeleteFunc(slices.Clone(k.Members), func(m Member) bool { return m.Lent })
	if k.Kind > PrivateKind || len(own) == 0 {
		k.Kind = NoKind
	}
	if k.Kind != NoKind || len(own) == 0 {
		return
	}
	newest := slices.MaxFunc(own, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Last, b.Last), cmp.Compare(kindOf([]Addr{b.IP}), kindOf([]Addr{a.IP})))
	})
	k.Kind = kindOf([]Addr{newest.IP})
}
