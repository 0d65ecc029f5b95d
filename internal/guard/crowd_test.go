package guard

import (
	"net/netip"
	"slices"
	"testing"
)

// word is what one observer of this zone says of a name.
func word(who string, n *Name) Find {
	s := Shared{By: who}
	s.Merge(n)
	return Find{Shared: s, Near: true}
}

// TestOneWordKeepsOutNobody holds that who speaks first neither takes the places of the
// addresses that two others keep, nor says of what kind they are, nor where they lead.
func TestOneWordKeepsOutNobody(t *testing.T) {
	many := make([]Addr, MaxMembers)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
	}
	chained := func(ips ...Addr) *Answer { return &Answer{Addrs: ips, TTL: 60, Chain: []string{"thief.example."}} }
	for name, lie := range map[string]*Answer{
		"as many addresses as there is room for": {Addrs: many, TTL: 60},
		"private addresses":                      {Addrs: addrs("10.0.0.1"), TTL: 60},
		"another chain":                          chained(addrs("198.51.100.1")...),
		"another chain to the same addresses":    chained(pool(2)...),
	} {
		there, now := healthy(&Answer{Addrs: pool(2), TTL: 60, Chain: []string{"edge.example."}})
		thief, _ := healthy(lie)
		var n Name
		n.Adopt([]Find{word("a", thief), word("b", there), word("c", there)}, now, nobody)
		n.Fail(false, NoData, now)
		set, why := n.Stand(false, rules(), now, false)
		slices.SortFunc(set.Addrs, Addr.Compare)
		if why != Stands || !slices.Equal(set.Addrs, pool(2)) || !slices.Equal(set.Chain, []string{"edge.example."}) {
			t.Errorf("%s: %+v stands in (%v)", name, set, why)
		}
	}
}

// TestAnUnvouchedChainLeadsNowhere holds that what proved itself here stands in without the
// chain by which only one other was led.
func TestAnUnvouchedChainLeadsNowhere(t *testing.T) {
	thief, now := healthy(&Answer{Addrs: pool(1), TTL: 60, Chain: []string{"thief.example."}})
	var n Name
	n.Adopt([]Find{word("a", thief)}, now, nobody)
	n.Fail(false, NoData, now)
	n.Prove(false, pool(1)[0], Proven, now)
	if set, why := n.Stand(false, rules(), now, false); why != Stands || set.Chain != nil {
		t.Errorf("%+v stands in (%v)", set, why)
	}
}
