package guard

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// far is the word of an observer of another zone.
func far(who string, n *Name) Find {
	f := word(who, n)
	f.Near = false
	return f
}

// kept returns what stands in after an hour in which a name fails here, of which
// nothing is known but what others say. Its honest addresses prove themselves, all
// others say nothing. asked are those that were asked.
func kept(finds []Find, now Stamp) (set Set, why Refusal, asked map[Addr]bool) {
	var n Name
	r := rules()
	r.Demand, asked = TLS, map[Addr]bool{}
	n.Adopt(finds, now, nobody)
	n.Fail(false, NoData, now)
	for range 12 * 60 {
		now = now.Add(5 * time.Second)
		n.Adopt(finds, now, nobody)
		set, _ := n.Stand(false, r, now, false)
		for _, ip := range n.Due(false, &set, r, now, 0) {
			p := Silent
			if slices.Contains(pool(2), ip) {
				p = Proven
			}
			asked[ip] = true
			n.Begun(false, ip, now, 0)
			n.Prove(false, ip, p, now)
		}
	}
	set, why = n.Stand(false, r, now, false)
	return set, why, asked
}

// TestOneWordKeepsNothingOut holds that what one observer says leaves room for what any
// other says: a private address, as many as there is room for, and some that say nothing.
func TestOneWordKeepsNothingOut(t *testing.T) {
	full := make([]Addr, MaxMembers)
	for i := range full {
		full[i] = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
	}
	honest, now := healthy(says(60, pool(2)...))
	honest.Prove(false, pool(1)[0], Proven, now)
	for what, lie := range map[string][]Addr{"all places": full, "a private address": addrs("10.0.0.1"), "four that say nothing": full[:4]} {
		thief, _ := healthy(says(60, lie...))
		for who, finds := range map[string][]Find{
			"one of this zone": {word("a", thief), word("b", honest)},
			"two of another":   {word("a", thief), far("b", honest), far("c", honest)},
			"beside several":   {word("a", thief), far("b", thief), word("c", honest), far("d", thief)},
		} {
			set, why, asked := kept(finds, now)
			if why != Stands || !slices.Contains(set.Addrs, pool(1)[0]) {
				t.Errorf("%s, honest is %s: %v stands in (%v) after an hour, %d were asked", what, who, set.Addrs, why, len(asked))
			}
		}
	}
}

// TestTheKindOfOneWord holds that one observer does not choose of what kind the
// addresses are: what the name's own DNS says and proves itself stands in.
func TestTheKindOfOneWord(t *testing.T) {
	for _, lie := range []string{"10.0.0.1", "198.51.100.9"} {
		thief, now := healthy(says(60, addrs(lie)...))
		var n Name
		n.Adopt([]Find{word("a", thief)}, now, nobody)
		if n.V4.Kind != NoKind {
			t.Errorf("%s: kind %v", lie, n.V4.Kind)
		}
		n.Mend(now)
		n.Learn(false, says(60, pool(2)...), now.Add(time.Second))
		n.Prove(false, pool(1)[0], Proven, now.Add(2*time.Second))
		n.Fail(false, NoData, now.Add(3*time.Second))
		if set, why := n.Stand(false, rules(), now.Add(4*time.Second), false); why != Stands {
			t.Errorf("%s: %v (%v)", lie, set.Addrs, why)
		}
	}
	own, now := healthy(says(60, addrs("10.0.0.1")...))
	var n Name
	n.Adopt([]Find{word("a", own), word("b", own)}, now, nobody)
	if n.V4.Kind != PrivateKind {
		t.Errorf("of what two say the kind is %v", n.V4.Kind)
	}
	n = Name{}
	n.Adopt([]Find{word("a", own)}, now, nobody)
	n.Fail(false, NoData, now)
	if n.Prove(false, addrs("10.0.0.1")[0], Proven, now); n.V4.Kind != PrivateKind {
		t.Errorf("of what one says and proves itself here the kind is %v", n.V4.Kind)
	}
}

// TestAConnectionProvesNothingOfOneWord holds that what only one observer keeps is not
// asked, and does not stand in, where any machine that accepts a connection proves itself.
func TestAConnectionProvesNothingOfOneWord(t *testing.T) {
	thief, now := healthy(says(60, pool(2)...))
	for demand, want := range map[Demand]bool{TCP: false, TLS: true, Auto: true, Age: false} {
		var n Name
		r := rules()
		r.Demand = demand
		n.Adopt([]Find{word("a", thief)}, now, nobody)
		n.Fail(false, NoData, now)
		if ips := n.Urgent(false, r); len(ips) > 0 != want {
			t.Errorf("demand %v: asks %v at once", demand, ips)
		}
		if due := n.Due(false, &Set{}, r, now.Add(time.Minute), 0); len(due) > 0 != want {
			t.Errorf("demand %v: asks %v", demand, due)
		}
	}
}

// TestSpareProofsLeaveRoom holds that proofs of what only others keep take three places of
// five a second.
func TestSpareProofsLeaveRoom(t *testing.T) {
	var b Budget
	at := func(i int) Addr { return netip.AddrFrom4([4]byte{203, 0, byte(i), 1}) }
	n := 0
	for i := range 10 {
		if b.Allow(at(i), Spare, noon) {
			n++
		}
	}
	if n != 3 || !b.Allow(at(20), Plain, noon) || !b.Allow(at(21), Urgent, noon) || b.Allow(at(22), Plain, noon) {
		t.Errorf("%d began", n)
	}
	if b.Allow(at(23), Spare, noon.Add(999*time.Millisecond)) || !b.Allow(at(23), Spare, noon.Add(time.Second)) {
		t.Error("a second")
	}
}

// TestWhoSpeaksFirstKeepsOutNobody holds that addresses which one observer lent, as many as
// there is room for, before others knew the name, keep out neither what two keep later nor
// what one of another zone does.
func TestWhoSpeaksFirstKeepsOutNobody(t *testing.T) {
	full := make([]Addr, MaxMembers)
	for i := range full {
		full[i] = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
	}
	honest, begun := healthy(says(60, pool(2)...))
	honest.Prove(false, pool(1)[0], Proven, begun)
	thief, _ := healthy(says(60, full...))
	for what, later := range map[string][]Find{"two of the zone": {word("a", honest), word("b", honest)}, "one of another": {far("a", honest)}} {
		var n Name
		now, r := begun, rules()
		r.Demand = TLS
		n.Adopt([]Find{word("t", thief)}, now, nobody)
		n.Fail(false, NoData, now)
		for range 12 * 60 {
			now = now.Add(5 * time.Second)
			n.Adopt(append(later, word("t", thief)), now, nobody)
			set, _ := n.Stand(false, r, now, false)
			for _, ip := range n.Due(false, &set, r, now, 0) {
				p := Silent
				if slices.Contains(pool(2), ip) {
					p = Proven
				}
				n.Begun(false, ip, now, 0)
				n.Prove(false, ip, p, now)
			}
		}
		set, why := n.Stand(false, r, now, false)
		if why != Stands || !slices.Contains(set.Addrs, pool(1)[0]) || n.V4.Bad != begun {
			t.Errorf("%s: after an hour %v stands in (%v), of %d members", what, set.Addrs, why, len(n.V4.Members))
		}
	}
}

// TestOneWordIsNoProof holds that an address which two keep, and which never proved itself to
// them, stands in no longer because a third one says that it did.
func TestOneWordIsNoProof(t *testing.T) {
	honest, now := healthy(says(60, pool(2)...))
	thief := honest.Clone()
	for _, ip := range pool(2) {
		thief.Prove(false, ip, Proven, now)
	}
	var n Name
	n.Adopt([]Find{word("a", honest), word("b", honest), word("t", &thief)}, now, nobody)
	n.Fail(false, NoData, now)
	if _, why := n.Stand(false, rules(), now, false); why != Stands {
		t.Fatal(why)
	}
	if set, why := n.Stand(false, rules(), now.Add(rules().KeepUnproven+time.Second), false); why == Stands {
		t.Errorf("%v still stands in", set.Addrs)
	}
}

// A word that is newer than what was seen here keeps it neither out nor from being asked,
// and is no newer answer.
func TestALentWordHidesNothingSeenHere(t *testing.T) {
	for name, find := range map[string]func(string, *Name) Find{"near": word, "far": far} {
		now := noon
		n := Name{Proves: true}
		n.Learn(false, says(60, pool(2)...), now)
		n.Fail(false, NoData, now.Add(time.Second))
		now = now.Add(2 * time.Second)
		thief := Name{V4: Kept{
			Members: []Member{{IP: addrs("198.51.100.9")[0], First: now.Add(-time.Hour), Last: now, Times: 3}}, Kind: PublicKind, Good: now,
		}}
		if !n.Adopt([]Find{find("t", &thief)}, now, nobody) || n.V4.Good != noon {
			t.Errorf("%s: good at %v, seen at %v", name, n.V4.Good, noon)
		}
		r := rules()
		r.Demand = TLS
		if ips, urgent := n.Newcomers(false, r); !urgent || !slices.Contains(ips, pool(2)[0]) || !slices.Contains(ips, pool(2)[1]) {
			t.Errorf("%s: asks %v", name, ips)
		}
	}
}
