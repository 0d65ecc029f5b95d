package guard

import (
	"slices"
	"time"
)

// Times and numbers of what others say.
const (
	alone   = time.Hour // so often a member is asked from here, whatever others say
	keepers = 2         // observers of this zone that must keep what stands in unasked
)

// Adopt takes over what others keep where nothing good is known here, and reports
// whether there was anything. What two observers of this zone keep stands in at once;
// what one keeps, or another zone, once it proved itself here: who stole the token of
// one of them can bring nothing in. Nor does one keep anything out: what two keep comes
// first, then each has its turn for one address, and what one says besides addresses
// counts for nothing. What was refuted here is not taken over, nor addresses for which
// deny is true, nor private ones of other zones: they mean other machines here.
func (n *Name) Adopt(finds []Find, now Stamp, deny func(Addr) bool) (isNew bool) {
	var near, far []*Name
	for i := range finds {
		word := finds[i].Known.Clone()
		if word.Mend(now); finds[i].Near {
			near = append(near, &word)
		} else {
			far = append(far, &word)
		}
	}
	for _, v6 := range []bool{false, true} {
		if !n.Of(v6).hasGood() {
			isNew = n.adopt(v6, near, far, deny) || isNew
		}
	}
	if isNew {
		n.inherit(&Name{
			Proves: most(near, func(w *Name) bool { return w.Proves }),
			Secure: most(near, func(w *Name) bool { return w.Secure }),
		})
	}
	return isNew
}

// adopt takes over addresses of a family of which nothing good is known: what enough
// observers keep comes first.
func (n *Name) adopt(v6 bool, near, far []*Name, deny func(Addr) bool) (isNew bool) {
	k, by := n.Of(v6), vouchers(near, v6)
	hasOwn := k.hasOwn()
	isUnsure := func(ip Addr) bool { return len(by[ip].lasts) < keepers }
	sure := n.offers(v6, near, func(ip Addr) bool { return deny(ip) || isUnsure(ip) })
	k.makeRoom(sure, isUnsure)
	isNew = k.borrow(sure, false, MaxMembers)
	isNew = k.borrow(n.offers(v6, near, deny), false, MaxMembers/2) || isNew
	isNew = k.borrow(n.offers(v6, far, func(ip Addr) bool { return deny(ip) || Private(ip) }), true, MaxMembers/2) || isNew
	if !hasOwn {
		k.Chain = chainOf(near, v6)
		k.measure(near, v6)
	}
	if k.Bad == 0 {
		k.Began = beganOf(near, v6)
	}
	proves := n.Proves || most(near, func(w *Name) bool { return w.Proves })
	return k.believe(by, proves) || isNew
}

// most reports whether as many observers say something as are believed.
func most(near []*Name, says func(*Name) bool) bool {
	n := 0
	for _, w := range near {
		if says(w) {
			n++
		}
	}
	return n >= keepers
}

// newestBut returns the newest of some instants that as many observers reach as are
// believed: one that lies cannot make it newer.
func newestBut(of []Stamp) Stamp {
	slices.Sort(of)
	return of[len(of)-keepers]
}

// measure takes over when the last good answer came, how large answers are, and of
// what kind, as far as enough observers say so.
func (k *Kept) measure(near []*Name, v6 bool) {
	var goods, sizes []Stamp
	var kinds [PrivateKind + 1]int
	for _, w := range near {
		if there := w.Of(v6); len(there.Members) > 0 {
			goods, sizes = append(goods, there.Good), append(sizes, Stamp(there.Usual()))
			kinds[there.Kind]++
		}
	}
	if len(goods) < keepers || len(k.Members) == 0 {
		return
	}
	slices.Sort(sizes)
	k.Good, k.Size = newestBut(goods), uint8(sizes[keepers-1]) // #nosec G115 -- at most eight
	for _, kind := range []Kind{PrivateKind, PublicKind} {     // public in doubt
		if kinds[kind] >= keepers {
			k.Kind = kind
		}
	}
}

// beganOf returns since when as many observers saw answers fail as are believed, 0 if
// not so many do: the oldest word but one, so that one that lies can make it neither
// shorter nor longer than an honest one says.
func beganOf(near []*Name, v6 bool) Stamp {
	var since []Stamp
	for _, w := range near {
		if bad := w.Of(v6).Bad; bad != 0 {
			since = append(since, bad)
		}
	}
	if len(since) < keepers {
		return 0
	}
	slices.Sort(since)
	return since[keepers-1]
}

// chainOf returns the chain by which as many observers were led as are believed, nil if
// there is none.
func chainOf(near []*Name, v6 bool) []string {
	for _, w := range near {
		chain := w.Of(v6).Chain
		if most(near, func(o *Name) bool { return len(o.Of(v6).Members) > 0 && slices.Equal(o.Of(v6).Chain, chain) }) {
			return chain
		}
	}
	return nil
}

// vouched is who of this zone keeps an address, by when each saw it, and when one of them saw
// it prove itself last.
type vouched struct {
	lasts  []Stamp // when each of them saw it last in a good answer
	proved Stamp   // when one of them saw it prove itself last
}

// vouchers counts who keeps which addresses of a family.
func vouchers(near []*Name, v6 bool) map[Addr]vouched {
	out := map[Addr]vouched{}
	for _, w := range near {
		k := w.Of(v6)
		for i := range k.Members {
			m := &k.Members[i]
			if m.Last <= w.Gone || !m.Good() || m.Was == Refuted || !k.fits(m.IP) {
				continue
			}
			v := out[m.IP]
			v.lasts = append(v.lasts, m.Last)
			if m.Was == Proven {
				v.proved = max(v.proved, m.Proved)
			}
			out[m.IP] = v
		}
	}
	return out
}

// believe makes good what is lent and enough observers of this zone keep, and takes over
// what one of them says of its proof, if the name is known to prove itself: of another
// nobody here would ever ask whether that is true.
func (k *Kept) believe(by map[Addr]vouched, proves bool) (isNew bool) {
	for i := range k.Members {
		m := &k.Members[i]
		v := by[m.IP]
		if !m.Lent || m.Proof != Unproven || len(v.lasts) < keepers {
			continue
		}
		m.Lent, m.Told, m.Times = false, true, 3
		m.Last = newestBut(v.lasts)
		m.First = min(m.First, m.Last.Add(-time.Minute))
		if v.proved != 0 && proves {
			m.Was, m.Proved = Proven, v.proved
		}
		isNew = true
	}
	return isNew
}

// offer is what one observer, or several in turn, may lend of a family.
type offer []Member

// offer returns what is not refused of what an observer keeps of a family.
func (n *Name) offer(v6 bool, from *Name, deny func(Addr) bool) (out offer) {
	there, gone := from.Of(v6), max(n.Gone, from.Gone)
	for _, m := range there.Members {
		if m.Last > gone && m.Good() && m.Was != Refuted && !deny(m.IP) && there.fits(m.IP) && n.takes(v6, m.IP) {
			out = append(out, m)
		}
	}
	return out
}

// offers returns what is not refused of what several keep of a family, in turns.
func (n *Name) offers(v6 bool, from []*Name, deny func(Addr) bool) offer {
	var all []offer
	for _, w := range from {
		all = append(all, n.offer(v6, w, deny))
	}
	return inTurns(all)
}

// inTurns returns what several offer, one address of each at a time, so that none of
// them leaves no room for the others.
func inTurns(all []offer) (out offer) {
	for i, more := 0, true; more; i++ {
		more = false
		for _, o := range all {
			if i < len(o) {
				out, more = append(out, o[i]), true
			}
		}
	}
	return out
}

// makeRoom gives up addresses that only one observer lends, as many as need be for those
// that enough do: who speaks first keeps nobody out.
func (k *Kept) makeRoom(sure offer, isUnsure func(Addr) bool) {
	missing := len(k.Members) - MaxMembers
	for _, m := range sure {
		if k.find(m.IP) == nil {
			missing++
		}
	}
	k.leave(func(ip Addr) bool {
		if missing <= 0 || !k.find(ip).Lent || !isUnsure(ip) {
			return false
		}
		missing--
		return true
	})
}

// borrow takes over what is not known here, as lent: of this zone, or of others, at most so
// many. What is not said by enough is not taken over with it: of what kind the addresses
// are, how large answers, and that answers were good later than here.
func (k *Kept) borrow(o offer, isFar bool, most int) (isNew bool) {
	if len(k.Members) == 0 && len(o) > 0 {
		*k = Kept{Bad: k.Bad, Why: k.Why, Began: k.Began}
	}
	hasOwn := k.hasOwn()
	most -= k.lent(isFar)
	for _, m := range o {
		if most <= 0 || !k.lend(m, isFar) {
			continue
		}
		isNew, most = true, most-1
		if !hasOwn {
			k.Good = max(k.Good, m.Last)
		}
	}
	return isNew
}

// lent counts the addresses that this zone, or others, lend.
func (k *Kept) lent(isFar bool) (n int) {
	for i := range k.Members {
		if m := &k.Members[i]; m.Lent && m.Far == isFar {
			n++
		}
	}
	return n
}

// lend adds an address as lent if it is not known and there is room.
func (k *Kept) lend(m Member, isFar bool) bool {
	if len(k.Members) >= MaxMembers || k.find(m.IP) != nil {
		return false
	}
	k.Members = append(k.Members, Member{IP: m.IP, First: m.First, Last: m.Last, Times: 1, Lent: true, Far: isFar})
	return true
}

// takes reports whether an address is of the kind that a family has, or may have.
func (n *Name) takes(v6 bool, ip Addr) bool {
	k := n.Of(v6)
	if k.Kind == NoKind && n.Of(!v6).Kind == PublicKind {
		return !Private(ip)
	}
	return k.fits(ip)
}

// hasOwn reports whether any address was seen here.
func (k *Kept) hasOwn() bool {
	return slices.ContainsFunc(k.Members, func(m Member) bool { return !m.Lent })
}

func (k *Kept) hasGood() bool {
	return slices.ContainsFunc(k.Members, func(m Member) bool { return m.Good() })
}

// Hear takes in what another observer of the zone has proved while the name fails,
// and reports whether anything is new. That a member is proven is believed, and
// spares it a proof from here, for an hour at most, unless its own proof failed here;
// that it is refuted makes it prove itself as soon as it may be asked. grace is how much
// longer the next proof waits for others: nothing, where it is this resolver's to make.
func (n *Name) Hear(s *Shared, now Stamp, grace time.Duration) (isNew bool) {
	for _, v6 := range []bool{false, true} {
		k, there := n.Of(v6), s.Known.Of(v6)
		if k.Bad == 0 {
			continue
		}
		for i := range k.Members {
			if t := there.find(k.Members[i].IP); t != nil {
				isNew = k.Members[i].hear(t, k.Bad, now, n.Proves, grace) || isNew
			}
		}
	}
	return isNew
}

// hear takes in what another observer proved. Of a name that never proved itself a word is
// no proof: nobody here would ever ask whether it is true.
func (m *Member) hear(t *Member, bad, now Stamp, proves bool, grace time.Duration) bool {
	at := t.Proved.until(now)
	failed := m.Proof == Refuted || m.isFaint() // here: who is asked from here is believed
	switch {
	case at <= m.Proved, now.Sub(at) > fresh:
	case t.Was == Proven && !failed && !m.Lent && (proves || m.Was == Proven):
		m.Proof, m.Was, m.Proved = Proven, Proven, at
		m.next = min(at.Add(schedule[m.step]+grace), max(m.Own, bad).Add(alone))
		m.step = min(m.step+1, uint8(len(schedule)-1)) // #nosec G115 -- three
		return true
	case t.Was == Refuted && !failed && m.next > now:
		m.next = now
	}
	return false
}
