package guard

import (
	"net/netip"
	"slices"
	"time"
)

// Addr is an address.
type Addr = netip.Addr

// Proof is what is known of a member's identity.
type Proof uint8

// The proofs.
const (
	Unproven Proof = iota
	Proven         // it showed a certificate for the name
	Refuted        // it contradicted twice: it is another's, or nothing listens there
	Silent         // nothing was heard: it, or the way to it
	Mute           // it took the connection, and did not say who it is

	// Contradicted is what a single proof says of an address that is another's. It is
	// no member's state: see Prove.
	Contradicts
)

var proofs = [...]string{"unproven", "proven", "refuted", "silent", "mute", "contradicted"}

// String returns the proof in a word.
func (p Proof) String() string { return proofs[p] }

// MarshalText implements encoding.TextMarshaler.
func (p Proof) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; unknown words are Unproven.
func (p *Proof) UnmarshalText(b []byte) error {
	*p = Proof(max(slices.Index(proofs[:], string(b)), 0)) // #nosec G115 -- an index of six
	return nil
}

// Member is an address that good answers held.
// There are many: small fields stand together, so that none needs room of its own.
type Member struct {
	IP    Addr  `json:"ip"`
	First Stamp `json:"first"` // seen in a good answer
	Last  Stamp `json:"last"`

	Own Stamp `json:"own,omitzero"` // when it was last asked from here

	// Was is what the last proof said that was one: Proven or Refuted. Proved is when
	// that was.
	Proved Stamp  `json:"proved,omitzero"`
	Was    Proof  `json:"was,omitzero"`
	Proof  Proof  `json:"proof,omitzero"`
	Times  uint8  `json:"times"`        // seen, as far as that matters
	Why    Reason `json:"why,omitzero"` // why the last proof failed

	Expired bool `json:"expired,omitempty"` // it is proven by a certificate that ended lately

	// Lent says that only another resolver keeps it: it stands in once it proved itself
	// here. Far says that this one is of another zone, Told that several of this zone do.
	Lent bool `json:"lent,omitempty"`
	Far  bool `json:"far,omitempty"`
	Told bool `json:"told,omitempty"`

	step    uint8 // of the schedule
	next    Stamp // when to prove it, 0 = not planned
	asked   Stamp // when it was asked last
	doubted Stamp // when it contradicted, 0 = not since it last proved itself
}

// Good reports whether a member may stand in: it was seen often enough for long
// enough, so that one forged answer is not kept, or it proved who it is.
func (m *Member) Good() bool {
	return m.Was == Proven || !m.Lent && m.Times >= 3 && m.Last.Sub(m.First) >= time.Minute
}

// Kept is what is known of one name and family.
type Kept struct {
	Members []Member `json:"members,omitempty"`
	Chain   []string `json:"chain,omitempty"` // targets of the last good answer's CNAMEs
	Links   []Link   `json:"links,omitempty"` // how well each of them is known
	Good    Stamp    `json:"good,omitzero"`   // the last good answer
	Bad     Stamp    `json:"bad,omitzero"`    // since when answers fail, 0 = they do not
	Why     Failure  `json:"why,omitzero"`    // of the last one
	Kind    Kind     `json:"kind,omitzero"`   // of the addresses that stand in
	Size    uint8    `json:"size,omitzero"`   // the usual one of a copy: what it is until there are new answers
	TTL     uint32   `json:"ttl,omitzero"`    // of the last good answer, in seconds

	// Began is since when others saw answers fail that did not here, 0 = they did
	// not. From then on it counts how long members stand in.
	Began Stamp `json:"began,omitzero"`

	// Fresh is when a target of the chain was last answered for while the name was not.
	Fresh Stamp `json:"fresh,omitzero"`

	// Empty is when the name's DNS last said that there is no address of this family, while it
	// was well, 0 = never since there was one.
	Empty Stamp `json:"empty,omitzero"`

	// Signed is the last complete answer to a question with DO, as it came, and
	// the time within which all its signatures are valid. Empty where none came
	// with signatures.
	Signed *Signed `json:"signed,omitempty"`

	late *lately // nil: no answer since the start
}

// lately is what is noted of the answers since the start.
type lately struct {
	sizes    [32]uint8 // of the last answers
	answers  uint32    // how many went through sizes
	top      uint32    // the greatest TTL lately, in seconds
	tops     uint8     // at how many times it was seen
	topped   Stamp     // the last of these
	before   uint32    // the greatest TTL when the other family began to fail, of a day at most
	small    [3]Stamp  // when answers were far too small
	odd      run       // good answers in a row that were of the other kind
	well     run       // good answers in a row that may not be learned, while answers fail
	relieved Stamp     // when the failure began that such answers ended, 0 = none did since one was learned
	valid    run       // answers that were validated
	plain    run       // answers in a row that lacked the signatures that were asked for
}

// lately returns what is noted of the answers since the start.
func (k *Kept) lately() *lately {
	if k.late == nil {
		k.late = &lately{}
	}
	return k.late
}

// Signed is an answer with its signatures in wire format.
type Signed struct {
	Wire  []byte `json:"wire"`
	From  Stamp  `json:"from"`
	Until Stamp  `json:"until"`
	IPs   []Addr `json:"ips"`
}

// Name is what is known of a name. The zero value knows nothing.
type Name struct {
	V4 Kept `json:"v4,omitzero"`
	V6 Kept `json:"v6,omitzero"`

	Proves bool  `json:"proves,omitempty"` // a member proved itself while answers of its family were good
	Secure bool  `json:"secure,omitempty"` // its answers were validated (AD)
	Tried  Stamp `json:"tried,omitzero"`   // when a proof was last tried

	Cert Cert `json:"cert,omitzero"` // the last certificate in date that proved a member

	Gone Stamp `json:"gone,omitzero"` // when it was forgotten: what others saw before is not taken from them

	held []held // strange addresses and what their proof said, at most MaxMembers
}

// Of returns what is known of one family.
func (n *Name) Of(v6 bool) *Kept {
	if v6 {
		return &n.V6
	}
	return &n.V4
}

// Known reports whether anything was ever learned of the name.
func (n *Name) Known() bool { return len(n.V4.Members)+len(n.V6.Members) > 0 }

// Good returns when the last good answer of either family came, 0 if none did.
func (n *Name) Good() Stamp { return max(n.V4.Good, n.V6.Good) }

// Failing reports whether answers of either family fail now.
func (n *Name) Failing() bool { return n.V4.Bad != 0 || n.V6.Bad != 0 }

// Since returns when the answers of the name began to fail, 0 if they do not.
func (n *Name) Since() Stamp {
	switch {
	case n.V4.Bad == 0:
		return n.V6.Bad
	case n.V6.Bad == 0:
		return n.V4.Bad
	}
	return min(n.V4.Bad, n.V6.Bad)
}

// Usual returns how many addresses an answer usually has: the median of the last
// 32 answers, at least 1.
func (k *Kept) Usual() int {
	isNew := k.late == nil || k.late.answers == 0
	switch {
	case isNew && k.Size > 0:
		return int(k.Size)
	case isNew:
		return max(1, min(len(k.Members), MaxAnswer))
	}
	s := k.late.sizes
	n := min(int(k.late.answers), len(s))
	slices.Sort(s[:n])
	return max(1, int(s[n/2]))
}

// Member returns a copy of a member.
func (n *Name) Member(v6 bool, ip Addr) (m Member, known bool) {
	if at := n.Of(v6).find(ip); at != nil {
		return *at, true
	}
	return m, false
}

func (k *Kept) find(ip Addr) *Member {
	for i := range k.Members {
		if k.Members[i].IP == ip {
			return &k.Members[i]
		}
	}
	return nil
}

// Clone returns a copy that shares nothing that changes.
func (n *Name) Clone() Name {
	out := *n
	for _, k := range []*Kept{&out.V4, &out.V6} {
		if len(k.Members) > 0 {
			k.Size = uint8(k.Usual()) // #nosec G115 -- at most eight
		}
		k.Members, k.Links, k.late = slices.Clone(k.Members), slices.Clone(k.Links), nil
	}
	out.held = nil
	return out
}
