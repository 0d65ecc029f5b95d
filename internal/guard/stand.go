package guard

import (
	"cmp"
	"slices"
	"time"
)

// Set is what stands in for a family of a name.
type Set struct {
	Addrs  []Addr   // newest first
	Chain  []string // from the name to them
	Newest Stamp    // when one of them was last seen in a good answer
	Proven bool     // one of them proved who it is
	Faint  bool     // one of them does not say any more who it is
}

// Refusal is why nothing stands in.
type Refusal uint8

// The refusals.
const (
	Stands       Refusal = iota // something does
	Healthy                     // answers are good
	Unlearned                   // nothing was learned while answers were good
	Young                       // it was not seen often or long enough
	Contradicted                // every member is another's by now, or refuses
	Quiet                       // none says anything, while others do
	Expired                     // it has stood in for long enough
	Crowded                     // too many names of patterns do already
)

var refusals = [...]string{
	"stands in", "answers are good", "nothing was learned yet", "not seen three times in a minute yet",
	"every address was refuted", "no address answers", "kept for as long as allowed",
	"too many names of patterns stand in already",
}

// String returns the refusal in words.
func (r Refusal) String() string { return refusals[r] }

// Stand returns what stands in for a failing family at an instant. hush says that
// the silence of a member is a reason to leave it out: others do answer us.
func (n *Name) Stand(v6 bool, r *Rules, now Stamp, hush bool) (Set, Refusal) {
	k := n.Of(v6)
	switch {
	case k.Bad == 0:
		return Set{}, Healthy
	case len(k.Members) == 0:
		return Set{}, Unlearned
	}
	var fit []*Member
	why := Young
	for i := range k.Members {
		m := &k.Members[i]
		if !k.fits(m.IP) {
			continue
		}
		if no := n.unfit(k, m, r, now, hush); no != Stands {
			why = max(why, no)
			continue
		}
		fit = append(fit, m)
	}
	if len(fit) == 0 {
		return Set{}, why
	}
	fit = k.current(fit)
	slices.SortStableFunc(fit, func(a, b *Member) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.Last, a.Last), a.IP.Compare(b.IP))
	})
	s := Set{Chain: k.Chain}
	for _, m := range fit[:min(len(fit), k.Usual(), MaxAnswer)] {
		s.Addrs = append(s.Addrs, m.IP)
		s.Newest = max(s.Newest, m.Last)
		s.Proven = s.Proven || m.Was == Proven
		s.Faint = s.Faint || m.isFaint()
	}
	return s, Stands
}

// Lacks reports whether a family has no address, as the name's DNS said while it was well,
// and the other one stands in.
func (n *Name) Lacks(v6 bool, r *Rules, now Stamp, hush bool) bool {
	k, other := n.Of(v6), n.Of(!v6)
	if k.Empty == 0 || len(k.Members) > 0 || other.Bad == 0 || other.Bad.Sub(k.Empty) > Oldest {
		return false
	}
	_, why := n.Stand(!v6, r, now, hush)
	return why == Stands
}

// current leaves out the members that were last seen before those of the last good
// answer, or of the last one of the chain's target, came up, unless there are no others: the name moved away from them. One
// that was seen beside them since is another of the same pool. Those that are faint are
// hardly others.
func (k *Kept) current(fit []*Member) []*Member {
	moved := k.moved(max(k.Good, k.Fresh))
	if moved == 0 { // what its target brought was refuted
		moved = k.moved(k.Good)
	}
	isOld := func(m *Member) bool { return m.Last < moved }
	if slices.ContainsFunc(fit, func(m *Member) bool { return !isOld(m) && !m.isFaint() }) {
		return slices.DeleteFunc(fit, isOld)
	}
	return fit
}

// moved returns when the first of the members that were seen since came up, 0 if there
// are none. What was refuted is nothing that the name moved to.
func (k *Kept) moved(since Stamp) (first Stamp) {
	for i := range k.Members {
		if m := &k.Members[i]; m.Last >= since && m.Proof != Refuted && k.fits(m.IP) && (first == 0 || m.First < first) {
			first = m.First
		}
	}
	return first
}

// unfit returns why a member does not stand in, Stands if it may.
func (n *Name) unfit(k *Kept, m *Member, r *Rules, now Stamp, hush bool) Refusal {
	keep := r.KeepUnproven
	if (m.Was == Proven || n.Proves && m.isFaint()) && r.Demand != Age { // of a name that proves itself few were asked while it was well
		keep = r.KeepProven
	}
	switch {
	case m.Proof == Refuted:
		return Contradicted
	case !m.Good():
		return Young
	case now.Sub(k.Bad) > keep, k.Bad.Sub(m.vouched()) > Oldest:
		return Expired
	case hush && m.Proof == Silent:
		return Quiet
	case m.isFaint() && now.Sub(m.vouched()) > n.patience(m):
		return Expired
	}
	return Stands
}

// Oldest is how long before a failure what stands in for it was last known to be the name's:
// nobody asked since.
const Oldest = 7 * 24 * time.Hour

// How long a member stands in that does not say any more who it is. The machines of a
// region that is in trouble reset, close and say nothing, and so do those of whoever
// has the address next: what tells them apart is whether the others are well.
const (
	faintAlone  = 4 * time.Hour    // while no other member is proven
	faintBeside = 15 * time.Minute // while one is
)

// patience returns how long a faint member stands in from when it was last vouched for.
func (n *Name) patience(m *Member) time.Duration {
	since := n.Since()
	for _, k := range []*Kept{&n.V4, &n.V6} {
		for i := range k.Members {
			if o := &k.Members[i]; o != m && o.Proof == Proven && o.Proved >= since {
				return faintBeside
			}
		}
	}
	return faintAlone
}

// Held reports whether the answer with its signatures may stand in: the
// signatures are valid now, and each of its addresses is a good member that nothing
// refutes: we validate nothing ourselves.
func (n *Name) Held(v6 bool, r *Rules, now Stamp) *Signed {
	k := n.Of(v6)
	s := k.Signed
	if s == nil || now < s.From || now >= s.Until || now.Sub(k.Bad) > r.KeepProven {
		return nil
	}
	for _, ip := range s.IPs {
		if m := k.find(ip); m == nil || m.Proof == Refuted || !m.Good() || !k.fits(ip) {
			return nil
		}
	}
	return s
}

// Proofs are spread and rare: thousands of resolvers must not become the storm on
// a region that tries to get up.
const (
	MaxProved = 4                // addresses of a name
	Spread    = 10 * time.Second // over which the first proofs of an outage are spread
	daily     = 24 * time.Hour   // between handshakes with a healthy name that proves nothing
)

var schedule = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute}

// demand returns what members must prove.
func (n *Name) demand(r *Rules) Demand {
	if r.Demand != Auto {
		return r.Demand
	}
	isLent := func(m Member) bool { return m.Lent }
	if n.Proves || slices.ContainsFunc(n.V4.Members, isLent) || slices.ContainsFunc(n.V6.Members, isLent) {
		return TLS
	}
	return Age
}

// Due returns the newcomers, and the members among those that stand in, that should
// prove themselves now. spread is this resolver's share of Spread for the name.
func (n *Name) Due(v6 bool, s *Set, r *Rules, now Stamp, spread time.Duration) (due []Addr) {
	k := n.Of(v6)
	if n.demand(r) == Age {
		return nil
	}
	news, _ := n.Newcomers(v6, r)
	for _, ip := range append(news, s.Addrs[:min(len(s.Addrs), MaxProved)]...) {
		if m := k.find(ip); m != nil && m.isDue(k.Bad, now, spread) {
			due = append(due, ip)
		}
	}
	return due
}

// Newcomers returns members of the last good answer that were not seen often
// enough, and that would be good if they proved themselves: a name that has just
// moved, or that rotates through many. Who was asked longest ago comes first, so that
// those who say nothing keep out no others. They are urgent while nothing of that answer
// is good: what stands in then is older, and may be dead. What only another observer
// keeps is among them, where a certificate is what proves it.
func (n *Name) Newcomers(v6 bool, r *Rules) (ips []Addr, urgent bool) {
	k := n.Of(v6)
	if k.Bad == 0 || n.demand(r) == Age {
		return nil, false
	}
	urgent = true
	var news []*Member
	for i := range k.Members {
		switch m := &k.Members[i]; {
		case m.Last < k.Good && !m.Lent, !k.fits(m.IP):
		case m.Good():
			urgent = false
		case m.mayArrive(r):
			news = append(news, m)
		}
	}
	slices.SortStableFunc(news, func(a, b *Member) int { return cmp.Compare(a.asked, b.asked) })
	for _, m := range news[:min(len(news), MaxProved)] {
		ips = append(ips, m.IP)
	}
	return ips, urgent && len(ips) > 0
}

// mayArrive reports whether a proof would make a member good that is not. That a machine
// accepts a connection says nothing of what only another observer keeps: any does.
func (m *Member) mayArrive(r *Rules) bool {
	if m.Lent {
		return r.Demand != TCP && (m.Proof == Unproven || m.isFaint())
	}
	return m.Proof == Unproven
}

// Urgent returns the newcomers that must prove themselves at once, and were not
// asked yet.
func (n *Name) Urgent(v6 bool, r *Rules) (ips []Addr) {
	all, urgent := n.Newcomers(v6, r)
	for _, ip := range all {
		if urgent && n.Of(v6).find(ip).next == 0 {
			ips = append(ips, ip)
		}
	}
	return ips
}

// apart is the time between two proofs of a member, but for one that confirms another.
const apart = time.Minute

// isDue reports whether a member of a name that fails since bad should prove itself
// now.
func (m *Member) isDue(bad, now Stamp, spread time.Duration) bool {
	if m.next == 0 {
		if m.next = bad.Add(spread); m.next < now.Add(-Spread-Grace) { // it fails since before a restart
			m.next = now.Add(spread)
		}
	}
	return m.reached(now)
}

// reached reports whether the time of a member's next proof has come. One that is
// further off than any is planned was planned by a clock that was set back since.
func (m *Member) reached(now Stamp) bool {
	return !m.wasAsked(now) && (now >= m.next || m.next.Sub(now) > schedule[len(schedule)-1]+Spread+Grace)
}

// wasAsked reports whether a member was asked too lately to be asked again.
func (m *Member) wasAsked(now Stamp) bool {
	since := now.Sub(m.asked)
	return m.asked != 0 && since >= 0 && since < apart
}

// MayAsk reports whether a member was not asked lately.
func (n *Name) MayAsk(v6 bool, ip Addr, now Stamp) bool {
	m := n.Of(v6).find(ip)
	return m != nil && !m.wasAsked(now)
}

// Refutations returns the members that were refuted and are due to be asked
// again: a machine that was restarted is not lost for good. spread is as for Due.
func (n *Name) Refutations(v6 bool, now Stamp, spread time.Duration) (due []Addr) {
	k := n.Of(v6)
	for i := range k.Members {
		if m := &k.Members[i]; m.Proof == Refuted && k.fits(m.IP) && m.isDue(k.Bad, now, spread) && len(due) < MaxProved {
			due = append(due, m.IP)
		}
	}
	return due
}

// Begun plans the next proof of a member whose proof is under way, later by grace
// where another resolver may spare it.
func (n *Name) Begun(v6 bool, ip Addr, now Stamp, grace time.Duration) {
	if m := n.Of(v6).find(ip); m != nil {
		m.next, m.asked = now.Add(schedule[m.step]+grace), now
		m.step = min(m.step+1, uint8(len(schedule)-1)) // #nosec G115 -- three
	}
}
