package guard

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Fail notes that the answers of a family fail now.
func (n *Name) Fail(v6 bool, why Failure, now Stamp) {
	k := n.Of(v6)
	if k.Bad == 0 {
		k.Bad = cmp.Or(k.Began, now)
		if other := n.Of(!v6).late; other != nil {
			other.before = min(other.top, uint32(daily/time.Second))
		}
	}
	if k.late != nil {
		k.late.well = run{}
	}
	k.Why = why
}

// Withdrawn reports whether an empty answer for IPv6 is a change and no failure: the
// answers for IPv4 are good, and the last one was fetched from the name's own servers
// after IPv6 failed. If so, IPv6 is forgotten: its clients have IPv4. The other way round
// nothing is, for those that have IPv4 only would be lost if it was an error.
func (n *Name) Withdrawn() bool {
	k, other := &n.V6, &n.V4
	if k.Why != NoData || k.Bad == 0 || other.Bad != 0 || !other.fetchedSince(k.Bad) {
		return false
	}
	*k = Kept{}
	return true
}

// Shrunk reports whether an answer is the third within a minute that has under a
// third of the usual number of addresses, where that is 6 or more.
func (n *Name) Shrunk(v6 bool, a *Answer, now Stamp) bool {
	k := n.Of(v6)
	if u := k.Usual(); u < 6 || 3*len(a.Addrs) >= u {
		return false
	}
	l := k.lately()
	copy(l.small[1:], l.small[:2])
	l.small[0] = now
	return l.small[2] != 0 && now.Sub(l.small[2]) <= time.Minute
}

// held is a strange address that waits for its proof, or had it.
type held struct {
	ip    Addr
	at    Stamp
	proof Proof
	begun bool // the proof is under way, or done
	over  bool // it is done
}

// recheck is how long the proof of a strange address counts.
const recheck = 10 * time.Minute

// Strange returns the addresses of an answer that must prove themselves before
// they are believed: new ones of a place that no good member has. It is empty
// while nothing good is known. Those among them that were refuted, or that proved
// nothing where the name proves itself, are in refused; fresh is how many of the others nobody asked for yet: see Doubted.
func (n *Name) Strange(v6 bool, a *Answer, r *Rules, now Stamp) (fresh int, refused []Addr, waiting bool) {
	places := n.Of(v6).places(r)
	if len(places) == 0 {
		return 0, nil, false
	}
	for _, ip := range a.Addrs {
		if places[r.Place(ip)] {
			continue
		}
		switch h := n.holding(ip, now); {
		case h == nil:
			n.hold(ip, now)
			fresh, waiting = fresh+1, true
		case !h.over:
			waiting = true
		case h.proof == Refuted || n.Proves && h.proof != Proven:
			refused, waiting = append(refused, ip), true
		}
	}
	return fresh, refused, waiting
}

// places returns where the good members are.
func (k *Kept) places(r *Rules) map[string]bool {
	out := map[string]bool{}
	for i := range k.Members {
		if k.Members[i].Good() && k.fits(k.Members[i].IP) {
			out[r.Place(k.Members[i].IP)] = true
		}
	}
	return out
}

func (n *Name) holding(ip Addr, now Stamp) *held {
	for i := range n.held {
		if h := &n.held[i]; h.ip == ip && now.Sub(h.at) < recheck {
			return h
		}
	}
	return nil
}

// hold begins to wait for an address's proof, in the place of the oldest.
func (n *Name) hold(ip Addr, now Stamp) {
	if len(n.held) < MaxMembers {
		n.held = append(n.held, held{ip: ip, at: now})
		return
	}
	at := 0
	for i := range n.held {
		if n.held[i].at < n.held[at].at {
			at = i
		}
	}
	n.held[at] = held{ip: ip, at: now}
}

// Doubted returns the strange addresses whose proof has not begun.
func (n *Name) Doubted(now Stamp) (ips []Addr) {
	for i := range n.held {
		if h := &n.held[i]; !h.begun && now.Sub(h.at) < recheck {
			ips = append(ips, h.ip)
		}
	}
	return ips
}

// Undecided reports whether a strange address still waits for its proof.
func (n *Name) Undecided(now Stamp) bool {
	return slices.ContainsFunc(n.held, func(h held) bool { return !h.over && now.Sub(h.at) < recheck })
}

// Judging notes that the proof of a strange address is under way.
func (n *Name) Judging(ip Addr, now Stamp) {
	if h := n.holding(ip, now); h != nil {
		h.begun = true
	}
}

// Judge takes in the proof of a strange address.
func (n *Name) Judge(ip Addr, p Proof, now Stamp) {
	if h := n.holding(ip, now); h != nil {
		h.proof, h.over = p, true
	}
}

// Accept makes what the backends say now the truth: all that is kept is dropped.
func (n *Name) Accept(now Stamp) { *n = Name{Gone: now} }

// Mend makes values that came from a disk or another resolver plausible: bounds
// hold, nothing lies in the future or before time began, and no address is of the
// wrong family or there twice.
func (n *Name) Mend(now Stamp) {
	for _, v6 := range []bool{false, true} {
		k := n.Of(v6)
		seen := map[Addr]bool{}
		k.leave(func(ip Addr) bool {
			twice := seen[ip]
			seen[ip] = true
			return twice || !ip.IsValid() || ip.Is4() == v6 || ip.Is4In6() || ip.Zone() != ""
		})
		k.Members = k.Members[:min(len(k.Members), MaxMembers)]
		k.mendChain(now)
		k.Size = min(k.Size, MaxAnswer)
		k.Good, k.Bad, k.Began, k.Fresh = k.Good.until(now), k.Bad.until(now), k.Began.until(now), k.Fresh.until(now)
		k.Empty = k.Empty.until(now)
		for i := range k.Members {
			k.Members[i].mend(now)
		}
		k.mendKind()
	}
	n.Tried, n.Gone = n.Tried.until(now), n.Gone.until(now)
	if len(n.Cert.Key) > maxDigest || len(n.Cert.Issuer) > maxDigest {
		n.Cert = Cert{}
	}
}

// isUnsound reports whether a text is no name in lower case with its last dot.
func isUnsound(name string) bool {
	labels, ok := strings.CutSuffix(name, ".")
	return !ok || len(name) > 254 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r >= 'A' && r <= 'Z' }) ||
		slices.ContainsFunc(strings.Split(labels, "."), func(l string) bool { return l == "" || len(l) > 63 })
}

func (m *Member) mend(now Stamp) {
	m.First, m.Last, m.Proved, m.Own = m.First.until(now), m.Last.until(now), m.Proved.until(now), m.Own.until(now)
	m.Times = min(m.Times, 3)
	switch m.Was {
	case Refuted:
		m.Proof = Refuted
	case Silent, Mute, Contradicts:
		m.Was = Unproven
	case Unproven, Proven:
	}
	if m.Proof == Contradicts || m.Proof == Proven && m.Was != Proven {
		m.Proof = Unproven
	}
}

// until returns s as an instant between never and now.
func (s Stamp) until(now Stamp) Stamp { return min(max(s, 0), now) }
