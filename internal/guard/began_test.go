package guard

import (
	"slices"
	"testing"
	"time"
)

// TestBeganOf holds that since when a name fails is what two observers of this zone say,
// whatever a third one does.
func TestBeganOf(t *testing.T) {
	for _, c := range []struct {
		says []Stamp
		want Stamp
	}{
		{nil, 0},
		{[]Stamp{1}, 0},
		{[]Stamp{0, 0, 1}, 0},
		{[]Stamp{500, 600}, 600},
		{[]Stamp{1, 500, 600}, 500},
		{[]Stamp{500, 1, 0}, 500},
		{[]Stamp{500, 600, 1 << 60}, 600},
	} {
		var near []*Name
		for _, bad := range c.says {
			near = append(near, &Name{V4: Kept{Bad: bad}})
		}
		if got := beganOf(near, false); got != c.want {
			t.Errorf("of %v: %d, want %d", c.says, got, c.want)
		}
	}
}

// TestAThiefChoosesNothing holds that a resolver which starts takes from two observers of
// its zone which addresses are the name's now, and how many, whatever a third one says,
// whose name comes first.
func TestAThiefChoosesNothing(t *testing.T) {
	now := Stamp(1e12)
	half := now.Add(-40 * time.Minute)
	member := func(ip Addr, first, last Stamp) Member {
		return Member{IP: ip, First: first, Last: last, Times: 3}
	}
	keeps := func(who string, size uint8, members ...Member) []Find {
		return by(&Shared{By: who, Known: Name{V4: Kept{Good: now, Kind: PublicKind, Size: size, Members: members}}}, true)
	}
	p := pool(3)
	old := member(p[0], half.Add(-time.Hour), half)
	moved := member(p[1], half.Add(time.Minute), now)
	all := []Member{member(p[0], half, now), member(p[1], half, now), member(p[2], half, now)}
	for _, c := range []struct {
		what   string
		honest []Find
		thief  []Find
		want   []Addr
	}{
		{"an address that the name has left", append(keeps("a", 1, old, moved), keeps("b", 1, moved)...), keeps("0", 1, member(p[0], half.Add(-time.Hour), now)), p[1:2]},
		{"one of three", append(keeps("a", 3, all...), keeps("b", 3, all...)...), keeps("0", 1, all[2]), p},
	} {
		for _, finds := range [][]Find{c.honest, append(c.thief, c.honest...)} {
			var n Name
			n.Adopt(finds, now, nobody)
			n.Fail(false, NoData, now.Add(time.Second))
			set, why := n.Stand(false, rules(), now.Add(2*time.Second), false)
			slices.SortFunc(set.Addrs, Addr.Compare)
			if !slices.Equal(set.Addrs, c.want) {
				t.Errorf("%s, %d words: stands in %v (%v), want %v", c.what, len(finds), set.Addrs, why, c.want)
			}
		}
	}
}
