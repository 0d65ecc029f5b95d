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
	if k.Kind == NoKind || kindOf(a.Addrs) == k.Kind { // another view's leads to other addresses
		changed = k.rechain(a.Chain, now) || changed
	}
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
	bad := k.Bad
	if k.late != nil {
		bad, k.late.relieved = cmp.Or(bad, k.late.relieved), 0
	}
	k.Began = 0
	if bad == 0 {
		return false
	}
	missed := max(now.Sub(bad), 0)
	for i := range k.Members {
		k.Members[i].missed(bad, missed)
	}
	for i := range k.Links {
		if !k.Links[i].isKnown(k.Good) {
			k.Links[i].First = k.Links[i].First.Add(missed)
		}
	}
	k.Bad, k.Why, k.Fresh = 0, None, 0
	return true
}

// missed makes a member as old as it was when answers began to fail.
func (m *Member) missed(bad Stamp, long time.Duration) {
	if !m.Good() && m.First <= bad {
		m.First = m.First.Add(long)
	}
	if m.Last <= bad {
		m.Last = m.Last.Add(long)
	}
	m.next, m.step = 0, 0
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
// three lifetimes, when a cache would have fetched again, or for an hour: it was lowered, or
// somebody lied.
func (k *Kept) rank(ttl uint32, now Stamp) {
	l := k.lately()
	since := now.Sub(l.topped)
	switch {
	case ttl > l.top, since < 0, since > min(3*time.Duration(l.top)*time.Second+time.Minute, time.Hour):
		l.top, l.tops, l.topped = ttl, 1, now
	case ttl == l.top && since >= 2*time.Second:
		l.tops, l.topped = min(l.tops+1, 2), now
	}
}

// fetchedSince reports whether the last answer came from the name's own servers since an
// instant: not from a cache on the way, or later than any cache had kept one from before.
func (k *Kept) fetchedSince(at Stamp) bool {
	if k.late == nil || k.Good < at {
		return false
	}
	top := max(k.late.top, k.late.before)
	return k.TTL >= top && k.late.tops >= 2 || k.Good.Sub(at) > time.Duration(top)*time.Second
}

// Relieve notes a complete answer that may not be learned, while answers fail, and ends the
// failure with the third in a row: the name's DNS answers again, whatever it says. If answers
// fail again before one was learned, that is the same failure: what is kept lasts no longer.
func (n *Name) Relieve(v6 bool, now Stamp) (over bool) {
	k := n.Of(v6)
	if k.Bad == 0 || !k.lately().well.add(now, 0) {
		return false
	}
	for i := range k.Members {
		k.Members[i].next, k.Members[i].step = 0, 0
	}
	k.late.relieved = cmp.Or(k.late.relieved, k.Bad)
	k.Bad, k.Began, k.Why, k.Fresh = 0, k.Bad, None, 0
	return true
}

// Attest notes what a good answer says of signatures: whether it was validated (AD), or came
// without any to a client that asked for them. The third in a row within more than a minute
// counts, so that one lie neither takes the bridge from clients with DO nor gives them what
// they cannot validate.
func (n *Name) Attest(v6, do, validated bool, a *Answer, now Stamp) {
	k := n.Of(v6)
	l := k.lately()
	switch {
	case validated:
		l.plain = run{}
		n.Secure = l.valid.add(now, time.Minute) || n.Secure
	case a.Signed != nil:
		l.plain = run{}
	case do:
		if l.valid = (run{}); l.plain.add(now, time.Minute) {
			n.Secure, k.Signed = false, nil
		}
	}
}

// run counts what happens again and again.
type run struct {
	times       uint8
	first, last Stamp
}

// add counts once more, but once a second, and reports whether it is at least the third time,
// over at least as long.
func (r *run) add(now Stamp, least time.Duration) bool {
	since := now.Sub(r.last)
	switch {
	case r.times == 0 || since < 0:
		*r = run{1, now, now}
	case since >= time.Second:
		r.times, r.last = min(r.times+1, turns), now
	}
	return r.times >= turns && now.Sub(r.first) >= least
}
