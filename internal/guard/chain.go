package guard

import (
	"slices"
	"time"
)

// Link is how long good answers have led through a CNAME.
type Link struct {
	First Stamp `json:"first"`
	Times uint8 `json:"times"` // seen, as far as that matters
}

// rechain takes over the chain of a good answer, and reports whether it is another one.
// What it has in common with the last one, from the name on, stays known for as long.
func (k *Kept) rechain(chain []string, now Stamp) (isNew bool) {
	chain = chain[:min(len(chain), MaxChain)]
	if isNew = !slices.Equal(k.Chain, chain); isNew {
		same := 0
		for same < min(len(chain), len(k.Chain), len(k.Links)) && chain[same] == k.Chain[same] {
			same++
		}
		k.Chain, k.Links = slices.Clone(chain), slices.Clone(k.Links[:same])
	}
	for len(k.Links) < len(k.Chain) {
		k.Links = append(k.Links, Link{First: now})
	}
	for i := range k.Links {
		k.Links[i].Times = min(k.Links[i].Times+1, 3)
	}
	return isNew
}

// isKnown reports whether a link was seen often enough for long enough, so that one
// forged answer leads nobody anywhere.
func (l *Link) isKnown(last Stamp) bool { return l.Times >= 3 && last.Sub(l.First) >= time.Minute }

// Follow returns the targets of the kept chain that may be asked for in the name's
// place, the first one first, while its own DNS fails. A link is kept for as long as the
// members are.
func (n *Name) Follow(v6 bool, r *Rules, now Stamp) []string {
	k := n.Of(v6)
	keep := r.KeepUnproven
	if r.Demand != Age && slices.ContainsFunc(k.Members, func(m Member) bool { return m.Was == Proven }) {
		keep = r.KeepProven
	}
	if k.Bad != 0 && now.Sub(k.Bad) > keep || k.Why == Bogus {
		return nil
	}
	known := 0
	for known < min(len(k.Links), len(k.Chain)) && k.Links[known].isKnown(k.Good) {
		known++
	}
	if known == 0 {
		return nil
	}
	return k.Chain[:known]
}

// Far takes in what the DNS of a target of the chain says while that of the name fails,
// and returns the addresses that stand in for it: none if these are of the other kind,
// or were refuted. They count as seen, so that they stand in when that DNS fails as well.
func (n *Name) Far(v6 bool, ips []Addr, now Stamp) (fit []Addr) {
	k := n.Of(v6)
	if k.Kind != NoKind && kindOf(ips) != k.Kind {
		return nil
	}
	for _, ip := range ips[:min(len(ips), MaxAnswer)] {
		if m := k.find(ip); m == nil || m.Proof != Refuted {
			fit = append(fit, ip)
		}
	}
	if k.Bad == 0 {
		return fit
	}
	for _, ip := range fit {
		k.see(ip, now)
	}
	if len(k.Members) > MaxMembers {
		k.crowd()
	}
	if len(fit) > 0 {
		k.Fresh = now
	}
	return fit
}

// mendChain makes the chain and its links plausible.
func (k *Kept) mendChain(now Stamp) {
	if k.Chain = k.Chain[:min(len(k.Chain), MaxChain)]; slices.ContainsFunc(k.Chain, isUnsound) {
		k.Chain = nil
	}
	if len(k.Links) != len(k.Chain) {
		k.Links = nil
	}
	for i := range k.Links {
		k.Links[i].First = k.Links[i].First.until(now)
	}
}
