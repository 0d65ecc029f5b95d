package guard

import (
	"cmp"
	"slices"
	"time"
)

// Answer is a complete answer: addresses of one family at the end of a chain that
// begins at the name.
type Answer struct {
	Chain  []string // the CNAMEs' targets in order, in lower case with their last dots
	Addrs  []Addr   // at least one
	TTL    uint32   // the least on the way, in seconds
	Signed *Signed  // with its signatures, if it came with any
}

// forget is how long good answers must lack a member until it is forgotten, at
// least; ttls is that in lifetimes of an answer.
const (
	forget = time.Hour
	ttls   = 20
)

// News says how much of what is kept an answer changed.
type News uint8

// The news.
const (
	Refused   News = iota // it is not believed, and changed nothing
	Refreshed             // times only
	Changed               // addresses, the chain, or that answers are good again
)

// Learn takes in a good answer. It allocates nothing if the answer brings nothing
// new. An answer with private addresses for a name that has public ones is refused, as
// a sinkhole or a rebinding attack would give it, until it is the third in a row.
func (n *Name) Learn(v6 bool, a *Answer, now Stamp) News {
	k := n.Of(v6)
	kind, was := kindOf(a.Addrs), k.Kind
	switch {
	case len(a.Addrs) == 0:
		return Refused
	case !n.turn(v6, kind, now) && kind == PrivateKind:
		if k.Bad == 0 { // its own DNS answers, without them
			k.drop(now, a.TTL)
		}
		return Refused
	}
	if changed := k.Take(a, now); changed || k.Kind != was {
		return Changed
	}
	return Refreshed
}

// Take takes in a good answer for one family, wherever it leads, and reports whether
// it changed more than times. It is Learn without what that refuses.
func (k *Kept) Take(a *Answer, now Stamp) (changed bool) {
	changed = k.heal(now)
	for _, ip := range a.Addrs {
		changed = k.see(ip, now) || changed
	}
	changed = k.drop(now, a.TTL) || changed
	changed = k.rechain(a.Chain, now) || changed
	if a.Signed != nil {
		k.Signed, changed = a.Signed, true
	}
	k.size(len(a.Addrs))
	k.rank(a.TTL, now)
	k.Good, k.TTL = now, a.TTL
	return changed
}

// heal ends a failure. What the members missed while answers failed does not make
// them old, nor one that was seen too briefly good. One that was seen meanwhile, in an answer
// of the chain's target, missed nothing: it would be dated in the future.
func (k *Kept) heal(now Stamp) bool {
	k.Began = 0
	if k.Bad == 0 {
		return false
	}
	missed := max(now.Sub(k.Bad), 0)
	for i := range k.Members {
		m := &k.Members[i]
		if !m.Good() && m.First <= k.Bad {
			m.First = m.First.Add(missed)
		}
		if m.Last <= k.Bad {
			m.Last = m.Last.Add(missed)
		}
		m.next, m.step = 0, 0
	}
	for i := range k.Links {
		if !k.Links[i].isKnown(k.Good) {
			k.Links[i].First = k.Links[i].First.Add(missed)
		}
	}
	k.Bad, k.Why, k.Fresh = 0, None, 0
	return true
}

// see notes that a good answer held ip.
func (k *Kept) see(ip Addr, now Stamp) (isNew bool) {
	m := k.find(ip)
	if m == nil {
		k.Members = append(k.Members, Member{IP: ip, First: now, Last: now, Times: 1})
		return true
	}
	good := m.Good()
	if m.Lent {
		m.First, m.Times = now, 0
	}
	m.Lent, m.Told = false, false
	m.Last = max(m.Last, now)
	m.Times = min(m.Times+1, 3)
	switch m.Proof {
	case Refuted: // its own DNS says that it is the name's
		m.Proof, m.Was, m.Proved, m.Own, m.Why, m.doubted = Unproven, Unproven, now, now, NoReason, 0
	case Silent, Mute: // that was another time
		m.Proof, m.Why, m.doubted = m.Was, NoReason, 0
	case Unproven, Proven, Contradicts:
	}
	return good != m.Good()
}

// drop forgets members that good answers have lacked for long, and the oldest of
// those that are too many.
func (k *Kept) drop(now Stamp, ttl uint32) bool {
	oldest := now.Add(-max(forget, ttls*time.Duration(ttl)*time.Second))
	if len(k.Members) <= MaxMembers && !slices.ContainsFunc(k.Members, func(m Member) bool { return m.Last < oldest }) {
		return false
	}
	k.leave(func(ip Addr) bool { return k.find(ip).Last < oldest })
	if len(k.Members) > MaxMembers {
		k.crowd()
	}
	return true
}

// crowd keeps the newest members. Half of the places are for good ones, so that an
// answer full of strangers does not push them out.
func (k *Kept) crowd() {
	slices.SortStableFunc(k.Members, func(a, b Member) int { return cmp.Compare(b.Last, a.Last) })
	var stay, rest []Member
	for _, m := range k.Members {
		if m.Good() && len(stay) < MaxMembers/2 {
			stay = append(stay, m)
		} else {
			rest = append(rest, m)
		}
	}
	k.Members = append(stay, rest...)[:MaxMembers]
}

// leave drops the members for which out is true.
func (k *Kept) leave(out func(Addr) bool) {
	var stay []Member
	for _, m := range k.Members {
		if !out(m.IP) {
			stay = append(stay, m)
		}
	}
	k.Members = stay
}

func (k *Kept) size(n int) {
	l := k.lately()
	l.sizes[l.answers%uint32(len(l.sizes))] = uint8(min(n, MaxAnswer)) // #nosec G115 -- at most eight
	l.answers++
}

// rank notes an answer's TTL: one that was the greatest twice was not in a cache,
// where it would have become less. The greatest is given up when it was not seen for
// three lifetimes: a cache would have fetched again.
func (k *Kept) rank(ttl uint32, now Stamp) {
	l := k.lately()
	since := now.Sub(l.topped)
	switch {
	case ttl > l.top, since < 0, since > 3*time.Duration(l.top)*time.Second+time.Minute:
		l.top, l.tops, l.topped = ttl, 1, now
	case ttl == l.top && since >= 2*time.Second:
		l.tops, l.topped = min(l.tops+1, 2), now
	}
}

// fetched reports whether an answer that was just learned came from the name's
// own servers and not from a cache on the way.
func (k *Kept) fetched() bool { return k.late != nil && k.TTL >= k.late.top && k.late.tops >= 2 }
