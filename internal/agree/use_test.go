package agree

import (
	"fmt"
	"testing"
	"time"
)

// uses is what one observer in a zone says: "A" or "B" in use, the other one out, in
// lower case if it returns; "" is nothing.
func uses(zone, what string, age time.Duration, ejections int) Using {
	u := Using{Zone: zone}
	if what == "" {
		return u
	}
	u.Pools = make([]PoolUse, 2)
	used := int(what[0] - 'A')
	u.Pools[used].Used = true
	if len(what) > 1 {
		u.Pools[1-used] = PoolUse{Out: true, Returning: what[1] == 'r', Age: age, Ejections: ejections}
	}
	return u
}

func TestVoteUse(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []Using
		want string
	}{
		{"nobody", nil, "no"},
		{"one", []Using{uses("x", "Bo", 0, 0)}, "[{false true false 0s 0} {true false false 0s 0}]"},
		{"two zones that differ", []Using{uses("x", "A", 0, 0), uses("y", "B", 0, 0)}, "no"},
		{"two of three zones", []Using{uses("x", "A", 0, 0), uses("y", "B", 0, 0), uses("z", "B", 0, 0)}, "[{false false false 0s 0} {true false false 0s 0}]"},
		{"two of three, one says nothing", []Using{uses("x", "A", 0, 0), uses("y", "A", 0, 0), uses("z", "", 0, 0)}, "[{true false false 0s 0} {false false false 0s 0}]"},
		{"one of three, others say nothing", []Using{uses("x", "B", 0, 0), uses("y", "", 0, 0), uses("z", "", 0, 0)}, "no"},
		{
			"a zone has one word however many speak in it",
			[]Using{uses("x", "B", 0, 0), uses("x", "B", 0, 0), uses("x", "B", 0, 0), uses("y", "A", 0, 0), uses("z", "A", 0, 0)},
			"[{true false false 0s 0} {false false false 0s 0}]",
		},
		{"a tie in a zone abstains", []Using{uses("x", "A", 0, 0), uses("x", "B", 0, 0), uses("y", "B", 0, 0), uses("z", "B", 0, 0)}, "[{false false false 0s 0} {true false false 0s 0}]"},
		{"and counts as a zone", []Using{uses("x", "A", 0, 0), uses("x", "B", 0, 0), uses("y", "B", 0, 0)}, "no"},
		{
			"the median of ages and ejections",
			[]Using{uses("x", "Br", time.Second, 1), uses("y", "Br", 5*time.Second, 2), uses("z", "Br", 1000*time.Hour, 999)},
			"[{false true true 5s 2} {true false false 0s 0}]",
		},
		{
			"what one says of a pool alone does not count",
			[]Using{uses("x", "B", 0, 0), uses("y", "Br", time.Hour, 9), uses("z", "B", 0, 0)},
			"[{false false false 0s 0} {true false false 0s 0}]",
		},
		{
			"out, and only few say that it returns",
			[]Using{uses("x", "Bo", 0, 0), uses("y", "Br", time.Hour, 9), uses("z", "Bo", 0, 0)},
			"[{false true false 0s 0} {true false false 0s 0}]",
		},
		{"of two the younger", []Using{uses("x", "Br", time.Minute, 3), uses("y", "Br", time.Hour, 1)}, "[{false true true 1m0s 1} {true false false 0s 0}]"},
	} {
		pools, ok := VoteUse(c.all)
		got := "no"
		if ok {
			got = fmt.Sprint(pools)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestZonesUse(t *testing.T) {
	got := ZonesUse([]Using{uses("y", "B", 0, 0), uses("x", "A", 0, 0), uses("x", "B", 0, 0), uses("y", "B", 0, 0), uses("y", "", 0, 0), uses("w", "", 0, 0)})
	if want := "[{w 0} {x 0} {y 2}]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestMute(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	all := []Seniority{
		{"x/aaa", "x", at.Add(3 * time.Minute)},
		{"x/c", "x", at},
		{"x/b", "x", at.Add(time.Minute)},
		{"x/z", "x", at.Add(3 * time.Minute)},
		{"y/a", "y", at},
		{"y/b", "y", at},
		{"w/a", "w", at},
	}
	for _, c := range []struct {
		expect map[string]int
		want   string
	}{
		{nil, "map[]"},
		{map[string]int{"x": 4, "y": 2}, "map[]"},
		{map[string]int{"x": 3}, "map[x/z:true]"},
		{map[string]int{"x": 2, "y": 1}, "map[x/aaa:true x/z:true y/b:true]"},
	} {
		if got := fmt.Sprint(Mute(all, c.expect)); got != c.want {
			t.Errorf("%v: mute are %s, want %s", c.expect, got, c.want)
		}
	}
}
