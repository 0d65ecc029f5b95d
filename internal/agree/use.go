package agree

import (
	"cmp"
	"slices"
	"time"
)

// PoolUse is what an observer says of one pool of a service, as share.PoolUse.
type PoolUse struct {
	Used, Out, Returning bool
	Age                  time.Duration // how long it has been Returning
	Ejections            int
}

// Using is what one observer says that it uses of a service. Pools are those of the
// reader's plan, in its order; nil: it says nothing that the reader can follow.
type Using struct {
	Zone  string
	Pools []PoolUse
}

// Mask has a bit for each pool in use.
func (u *Using) Mask() (pools uint64) {
	for p := range u.Pools {
		if u.Pools[p].Used {
			pools |= 1 << p
		}
	}
	return pools
}

// ZoneUse is the pools that a zone uses, a bit for each; 0: most of its observers do
// not say the same.
type ZoneUse struct {
	Zone  string
	Pools uint64
}

// ZonesUse returns what each zone uses, by zone: what most of its observers say,
// those included that say nothing.
func ZonesUse(all []Using) (out []ZoneUse) {
	byZone := map[string][]uint64{}
	for i := range all {
		byZone[all[i].Zone] = append(byZone[all[i].Zone], all[i].Mask())
	}
	for zone, said := range byZone {
		out = append(out, ZoneUse{zone, mostly(said)})
	}
	slices.SortFunc(out, func(a, b ZoneUse) int { return cmp.Compare(a.Zone, b.Zone) })
	return out
}

// mostly returns what more than half of them are, 0 if nothing is.
func mostly(said []uint64) uint64 {
	for _, s := range said {
		if n := count(said, func(o uint64) bool { return o == s }); 2*n > len(said) {
			return s
		}
	}
	return 0
}

func count[T any](list []T, f func(T) bool) (n int) {
	for _, x := range list {
		n += one(f(x))
	}
	return n
}

// VoteUse returns how a service stands for most zones; ok is false if they do not
// agree on the pools in use. Of a pool that is used by few, whether it is out and
// returns is what most of the agreeing zones say; how long it has returned, and how
// often it was left, is the median: one observer shifts neither far.
func VoteUse(all []Using) (pools []PoolUse, ok bool) {
	zones := ZonesUse(all)
	words := make([]uint64, len(zones))
	for i := range zones {
		words[i] = zones[i].Pools
	}
	used := mostly(words)
	if used == 0 {
		return nil, false
	}
	var agreeing []Using
	for i := range all {
		at, _ := slices.BinarySearchFunc(zones, all[i].Zone, func(z ZoneUse, name string) int { return cmp.Compare(z.Zone, name) })
		if zones[at].Pools == used && all[i].Mask() == used {
			agreeing = append(agreeing, all[i])
		}
	}
	pools = make([]PoolUse, len(agreeing[0].Pools))
	for p := range pools {
		pools[p] = poolOf(agreeing, p)
		pools[p].Used = used&(1<<p) != 0
	}
	return pools, true
}

// poolOf returns what observers say of pool p.
func poolOf(all []Using, p int) (out PoolUse) {
	out.Out = mostZones(all, func(u *Using) bool { return u.Pools[p].Out })
	out.Returning = out.Out && mostZones(all, func(u *Using) bool { return u.Pools[p].Returning })
	if !out.Returning {
		return out
	}
	var ages []time.Duration
	var ejections []int
	for i := range all {
		if w := &all[i].Pools[p]; w.Returning {
			ages, ejections = append(ages, w.Age), append(ejections, w.Ejections)
		}
	}
	out.Age, out.Ejections = median(ages), median(ejections)
	return out
}

// mostZones reports whether something is so in more than half of the zones, by most
// of the observers in each.
func mostZones(all []Using, f func(*Using) bool) bool {
	byZone := map[string]*tally{}
	for i := range all {
		t := byZone[all[i].Zone]
		if t == nil {
			t = new(tally)
			byZone[all[i].Zone] = t
		}
		if f(&all[i]) {
			t.up++
		} else {
			t.down++
		}
	}
	yes := 0
	for _, t := range byZone {
		yes += one(t.up > t.down)
	}
	return 2*yes > len(byZone)
}

// median returns the lower one of an even number.
func median[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[(len(list)-1)/2]
}

// Seniority is since when an observer has been known to the reader.
type Seniority struct {
	ID, Zone string
	Since    time.Time // by the reader's own clock
}

// Mute returns the IDs of those that have no voice because their zone has more
// observers than expected: the youngest. A zone that expect does not name may have
// any number.
func Mute(all []Seniority, expect map[string]int) map[string]bool {
	all = slices.SortedFunc(slices.Values(all), func(a, b Seniority) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	var out map[string]bool
	speak := map[string]int{}
	for _, s := range all {
		limit, named := expect[s.Zone]
		if speak[s.Zone]++; !named || speak[s.Zone] <= limit {
			continue
		}
		if out == nil {
			out = map[string]bool{}
		}
		out[s.ID] = true
	}
	return out
}
