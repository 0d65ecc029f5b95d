package guard

import (
	"hash/fnv"
	"slices"
	"time"
)

// Shared is what one resolver tells the others of a name that is listed.
type Shared struct {
	Block string `json:"block"` // the server block that guards it
	Name  string `json:"name"`  // in lower case, with its last dot
	By    string `json:"by"`    // the observer that wrote it last
	Known Name   `json:"known"` // without signatures
}

// Times of sharing.
const (
	// Grace is how long the proofs of others are waited for, in vain if the one who
	// makes them is gone: no proof comes later than that for the sake of sharing.
	Grace = 10 * time.Second

	refresh = time.Hour        // after which times alone are worth telling
	fresh   = 15 * time.Minute // how long another's proof is believed
	reprove = 30 * time.Second // proofs closer together are one
)

// Worth is how much it matters to tell others.
type Worth uint8

// The worths.
const (
	Nothing Worth = iota
	Later         // when it is convenient
	Now           // while a name fails
)

// Elected reports whether it is self, of the observers of a zone, that makes the
// proofs of a name and tells them (rendezvous hashing): all find the same one, and
// when one leaves only its names move.
func Elected(self string, zone []string, name string) bool {
	own := draw(self, name)
	return !slices.ContainsFunc(zone, func(o string) bool { return draw(o, name) > own })
}

func draw(observer, name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(observer))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(name))
	x := h.Sum64() // mixed once more, for the last letters change only low bits
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Merge adds to s what a resolver knows, and returns what telling that is worth.
// Only members that are good leave a resolver.
func (s *Shared) Merge(n *Name) (w Worth) {
	k := &s.Known
	if k.Gone < n.Gone {
		k.Gone, w = n.Gone, Now
	}
	for _, v6 := range []bool{false, true} {
		w = max(w, k.Of(v6).merge(n.Of(v6), k.Gone))
	}
	if k.inherit(n) {
		w = max(w, Later)
	}
	return w
}

// inherit takes over what n is known to be, and reports whether that is new.
func (n *Name) inherit(from *Name) (isNew bool) {
	for _, f := range []struct{ own, other *bool }{{&n.Proves, &from.Proves}, {&n.Secure, &from.Secure}} {
		isNew = isNew || *f.other && !*f.own
		*f.own = *f.own || *f.other
	}
	return isNew
}

func (k *Kept) merge(from *Kept, gone Stamp) (w Worth) {
	if len(k.Members) == 0 {
		w = Now // if there is anything to tell
	}
	was := len(k.Members)
	k.leave(func(ip Addr) bool { return k.find(ip).Last <= gone || !from.fits(ip) })
	for i := range from.Members {
		if m := from.Members[i].told(); m.Good() && m.Last > gone && from.fits(m.IP) {
			w = max(w, k.add(&m, from.Bad != 0))
		}
	}
	if len(k.Members) == 0 {
		*k = Kept{}
		if was > 0 {
			return Now
		}
		return Nothing
	}
	return max(w, k.renew(from))
}

// told returns what a resolver may tell of a member: what it has from its own answers and
// its own proofs. A word of others that were handed on would be a second one for the same.
func (m *Member) told() Member {
	out := *m
	if m.Lent || m.Told {
		return Member{}
	}
	if m.Own != m.Proved {
		out.Proved = m.Own
		if m.Own == 0 {
			out.Was = Unproven
		}
	}
	return out
}

// add adds what a resolver knows of a member.
func (k *Kept) add(m *Member, failing bool) (w Worth) {
	t := k.find(m.IP)
	if t == nil {
		k.Members = append(k.Members, Member{IP: m.IP, First: m.First, Last: m.Last, Times: m.Times, Was: m.Was, Proved: m.Proved})
		return Later
	}
	if m.Proved > t.Proved {
		if failing && (m.Was != t.Was || m.Proved.Sub(t.Proved) >= reprove) {
			w = Now
		}
		t.Was, t.Proved = m.Was, m.Proved
	}
	t.First, t.Last, t.Times = min(t.First, m.First), max(t.Last, m.Last), max(t.Times, m.Times)
	return w
}

// renew takes over times and the chain of who saw the last good answer, and since
// when there are none.
func (k *Kept) renew(from *Kept) (w Worth) {
	k.Kind = from.Kind
	if from.Good > k.Good {
		if from.Good.Sub(k.Good) > refresh || !slices.Equal(k.Chain, from.Chain) {
			w = Later
		}
		k.Good, k.TTL, k.Size = from.Good, from.TTL, uint8(from.Usual()) // #nosec G115 -- at most eight
		k.Chain, k.Links = slices.Clone(from.Chain), nil                 // what others were led by leads nobody else
		k.drop(k.Good, k.TTL)
	}
	switch {
	case from.Bad == 0 && k.Bad != 0 && from.Good > k.Bad:
		k.Bad, k.Why, w = 0, None, Now
	case from.Bad != 0 && k.Bad == 0 && k.Good <= from.Bad:
		k.Bad, k.Why, w = from.Bad, from.Why, Now
	}
	return w
}
