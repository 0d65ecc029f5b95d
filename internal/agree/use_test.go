package agree

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// uses is an observer that uses the pools of a mask, of three.
func uses(zone string, mask uint64) Using {
	u := Using{Zone: zone, Pools: make([]PoolUse, 3)}
	for p := range u.Pools {
		u.Pools[p].Used = mask>>p&1 == 1
	}
	return u
}

// leaves has it say of pool 1 that it was left, and returns for so long, 0: not at all.
func leaves(u Using, age time.Duration, ejections int) Using {
	u.Pools[1] = PoolUse{Used: u.Pools[1].Used, Out: true, Returning: age > 0, Age: age, Ejections: ejections}
	return u
}

func TestAZoneUsesWhatMostOfItSay(t *testing.T) {
	for name, c := range map[string]struct {
		all  []Using
		want []ZoneUse
	}{
		"nobody":                {nil, nil},
		"one":                   {[]Using{uses("a", 5)}, []ZoneUse{{"a", 5}}},
		"by name":               {[]Using{uses("b", 1), uses("a", 2)}, []ZoneUse{{"a", 2}, {"b", 1}}},
		"two of three":          {[]Using{uses("a", 2), uses("a", 1), uses("a", 1)}, []ZoneUse{{"a", 1}}},
		"half is not most":      {[]Using{uses("a", 2), uses("a", 1)}, []ZoneUse{{"a", 0}}},
		"who says nothing is":   {[]Using{uses("a", 1), {Zone: "a"}}, []ZoneUse{{"a", 0}}},
		"outvoted, though mute": {[]Using{uses("a", 1), uses("a", 1), {Zone: "a"}}, []ZoneUse{{"a", 1}}},
	} {
		if got := ZonesUse(c.all); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestVoteUse(t *testing.T) {
	second := time.Second
	used, other := PoolUse{Used: true}, PoolUse{}
	for name, c := range map[string]struct {
		all  []Using
		want []PoolUse // nil: no agreement
	}{
		"nobody":                    {nil, nil},
		"two zones differ":          {[]Using{uses("a", 1), uses("b", 2)}, nil},
		"nothing is used":           {[]Using{uses("a", 0), uses("b", 0)}, nil},
		"two of three zones":        {[]Using{uses("a", 1), uses("b", 1), uses("c", 2)}, []PoolUse{used, other, other}},
		"zones, not heads":          {[]Using{uses("a", 2), uses("a", 2), uses("a", 2), uses("b", 1), uses("c", 1)}, []PoolUse{used, other, other}},
		"several pools":             {[]Using{uses("a", 5)}, []PoolUse{used, other, used}},
		"one zone of two says left": {[]Using{leaves(uses("a", 1), 0, 9), uses("b", 1)}, []PoolUse{used, other, other}},
		"left, and does not return": {
			[]Using{leaves(uses("a", 1), 0, 9), leaves(uses("b", 1), 0, 9)},
			[]PoolUse{used, {Out: true}, other},
		},
		"one of two returns": {
			[]Using{leaves(uses("a", 1), second, 9), leaves(uses("b", 1), 0, 9)},
			[]PoolUse{used, {Out: true}, other},
		},
		"the lower of two medians": {
			[]Using{leaves(uses("a", 1), 30*second, 3), leaves(uses("b", 1), 10*second, 1)},
			[]PoolUse{used, {Out: true, Returning: true, Age: 10 * second, Ejections: 1}, other},
		},
		"who does not see it return has no age": {
			[]Using{leaves(uses("a", 1), 30*second, 3), leaves(uses("b", 1), 10*second, 2), leaves(uses("c", 1), 0, 99)},
			[]PoolUse{used, {Out: true, Returning: true, Age: 10 * second, Ejections: 2}, other},
		},
		"who uses other pools says nothing of these": {
			[]Using{
				leaves(uses("a", 1), 10*second, 1), leaves(uses("a", 1), 10*second, 1), leaves(uses("a", 2), 31*24*time.Hour, 99),
				leaves(uses("a", 2), 31*24*time.Hour, 99), leaves(uses("a", 1), 10*second, 1), leaves(uses("b", 1), 20*second, 2),
			},
			[]PoolUse{used, {Out: true, Returning: true, Age: 10 * second, Ejections: 1}, other},
		},
		"nor does one of a zone that uses others": {
			[]Using{
				leaves(uses("a", 1), 10*second, 1), leaves(uses("b", 1), 30*second, 3),
				uses("c", 2), uses("c", 2), leaves(uses("c", 1), 20*second, 2),
			},
			[]PoolUse{used, {Out: true, Returning: true, Age: 10 * second, Ejections: 1}, other},
		},
		"a zone that ties does not say left": {
			[]Using{leaves(uses("a", 1), 0, 0), uses("a", 1), leaves(uses("b", 1), 0, 0)},
			[]PoolUse{used, other, other},
		},
		"returning is nothing for who did not leave": {
			[]Using{{"a", []PoolUse{used, {Returning: true, Age: second}}}},
			[]PoolUse{used, other},
		},
	} {
		got, ok := VoteUse(c.all)
		if ok != (c.want != nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, ok, c.want)
		}
	}
}

// Above what is expected of a zone the youngest are mute, by the reader's clock and
// then by ID, in whatever order they are heard.
func TestTheYoungestAreMute(t *testing.T) {
	at := func(id, zone string, second int) Seniority {
		return Seniority{id, zone, t0.Add(time.Duration(second) * time.Second)}
	}
	all := []Seniority{at("new", "a", 9), at("old", "a", 1), at("x2", "a", 5), at("x1", "a", 5), at("b1", "b", 1), at("b2", "b", 2), at("c1", "c", 3)}
	for name, c := range map[string]struct {
		expect map[string]int
		want   []string
	}{
		"nothing is expected":   {nil, nil},
		"as many":               {map[string]int{"a": 4, "b": 2}, nil},
		"one too many":          {map[string]int{"a": 3}, []string{"new"}},
		"two too many, by ID":   {map[string]int{"a": 2}, []string{"new", "x2"}},
		"each zone has its own": {map[string]int{"a": 3, "b": 1}, []string{"b2", "new"}},
		"none is expected":      {map[string]int{"c": 0}, []string{"c1"}},
	} {
		if got := slices.Sorted(maps.Keys(Mute(all, c.expect))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
