package source

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Catalog is what catalogs hold of the services that come from them, by the
// service's name in lower case with its last dot. Values are not changed in place.
// It is also what a restart needs to know, as JSON.
type Catalog map[string]Entry

// Entry is what a catalog holds of one service, now or, of what it no longer
// lists, lately.
type Entry struct {
	Instances []Instance           `json:"instances"` // by address, each once
	Read      map[string]time.Time `json:"read"`      // when the last good answer came, by datacenter; zero: there was none

	// Late are the regions that came after their datacenter had answered without them.
	Late []string `json:"late,omitempty"`
}

// After returns e as it follows what was known before, which says which regions are late.
func (e Entry) After(before Entry) Entry {
	e.Late = nil
	for i := range e.Instances {
		in := &e.Instances[i]
		if slices.Contains(e.Late, in.Region) {
			continue
		}
		was := slices.ContainsFunc(before.Instances, func(o Instance) bool { return o.Region == in.Region })
		if was && slices.Contains(before.Late, in.Region) || !was && !before.Read[in.Datacenter].IsZero() {
			e.Late = append(e.Late, in.Region)
		}
	}
	return e
}

// Fresh is how old an answer may be that still says how an instance is: while a
// catalog has nothing new, it says so about every five minutes.
const Fresh = 6 * time.Minute

// At returns when the last good answer came, in the datacenter where that is
// longest ago: since then all that is told is known. It is zero if one never
// answered.
func (e Entry) At() time.Time {
	var oldest time.Time
	first := true
	for _, at := range e.Read {
		if first || at.Before(oldest) {
			oldest, first = at, false
		}
	}
	return oldest
}

// Current reports whether a datacenter answered so lately that what is known of it
// is of now.
func (e Entry) Current(datacenter string, now time.Time) bool {
	at := e.Read[datacenter]
	return !at.IsZero() && now.Sub(at) <= Fresh
}

// Instance is one address at which a service runs.
type Instance struct {
	Addr       netip.Addr `json:"address"`
	Region     string     `json:"region"`          // provider/name
	Weight     int        `json:"weight"`          // 1..65535 for each instance at the address
	Ports      []Port     `json:"ports,omitempty"` // where they serve, in order, each once; none: the catalog says none
	Status     Status     `json:"status"`
	Detail     string     `json:"detail,omitempty"`     // for people: what is not passing; at most 120 bytes
	Datacenter string     `json:"datacenter,omitempty"` // where it was read; "" is the agent's own
}

// Port is a port, with the weight of the instances at it.
type Port struct {
	Number uint16 `json:"port"`
	Weight int    `json:"weight"`
}

// Status is what a catalog's own checks say of an instance.
type Status string

// The statuses, the better before the worse.
const (
	Passing  Status = "passing"
	Warning  Status = "warning"
	Critical Status = "critical"
	Gone     Status = "gone" // the catalog lists it no longer, and lists nothing in its place
)

// Listed reports whether the catalog holds the instance.
func (i *Instance) Listed() bool { return i.Status.rank() < Gone.rank() }

// Bounds of one service: the addresses that are taken, and the ports of each, the lowest
// ones. All of an address are in one answer.
const (
	MaxInstances = 10_000
	MaxPorts     = 8
)

// overMedian is how much heavier than the median address one may be: who can write one
// instance must not draw all clients to it.
const overMedian = 10

// Bound cuts the weights of merged instances to ten times the median of those that are
// listed, of an even number of them the lower one, and returns how many were cut.
func Bound(list []Instance) (cut int) {
	var all []int
	for i := range list {
		if list[i].Listed() {
			all = append(all, list[i].Weight)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	most := overMedian * all[(len(all)-1)/2]
	for i := range list {
		if in := &list[i]; in.Weight > most {
			in.Weight, cut = most, cut+1
			in.Ports = slices.Clone(in.Ports)
			for p := range in.Ports {
				in.Ports[p].Weight = min(in.Ports[p].Weight, most)
			}
		}
	}
	return cut
}

// With returns c with what is known of one service replaced.
func (c Catalog) With(service string, e Entry) Catalog {
	out := maps.Clone(c)
	if out == nil {
		out = Catalog{}
	}
	out[service] = e
	return out
}

// SamePlaces reports whether e and o make the same endpoints: whether their
// instances differ in nothing but what their checks say.
func (e Entry) SamePlaces(o Entry) bool {
	return slices.EqualFunc(e.Instances, o.Instances, func(x, y Instance) bool {
		return x.Addr == y.Addr && x.Region == y.Region && x.Weight == y.Weight && slices.Equal(x.Ports, y.Ports)
	})
}

// SameStatus reports whether e and o say the same of the same instances.
func (e Entry) SameStatus(o Entry) bool {
	return slices.EqualFunc(e.Instances, o.Instances, func(x, y Instance) bool {
		return x.Addr == y.Addr && x.Status == y.Status && x.Detail == y.Detail
	})
}

// Find returns the instance at an address.
func (e Entry) Find(a netip.Addr) (*Instance, bool) {
	i, ok := slices.BinarySearchFunc(e.Instances, a, func(x Instance, a netip.Addr) int { return x.Addr.Compare(a) })
	if !ok {
		return nil, false
	}
	return &e.Instances[i], true
}

// Merge returns the instances in order of their addresses, each address once, at
// most MaxInstances of them, and how many addresses were left out. Several
// instances at one address are one endpoint, as healthy as the best of them, in the
// region of the first. It has the weight and the ports of all that are listed, or, if
// some of these are critical and others are not, of those that are not.
func Merge(all []Instance) (out []Instance, left int) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Instance) int { return a.Addr.Compare(b.Addr) })
	for _, i := range all {
		n := len(out)
		switch {
		case n > 0 && out[n-1].Addr == i.Addr:
			out[n-1] = out[n-1].and(i)
		default:
			out = append(out, i)
		}
	}
	left = max(0, len(out)-MaxInstances)
	return out[:len(out)-left], left
}

func (i Instance) and(o Instance) Instance {
	switch {
	case !o.Listed():
		return i
	case !i.Listed():
		return o
	case o.Status == Critical && i.Status != Critical:
		return i
	case i.Status == Critical && o.Status != Critical:
		o.Region = i.Region
		return o
	}
	i.Weight, i.Ports = i.Weight+o.Weight, join(i.Ports, o.Ports)
	i.Ports = i.Ports[:min(len(i.Ports), MaxPorts)]
	if cmp.Less(o.Status.rank(), i.Status.rank()) {
		i.Status, i.Detail = o.Status, o.Detail
	}
	return i
}

// join returns the ports of both, in order, each once.
func join(a, b []Port) []Port {
	out := slices.Concat(a, b)
	slices.SortStableFunc(out, func(a, b Port) int { return cmp.Compare(a.Number, b.Number) })
	n := 0
	for _, p := range out {
		if n > 0 && out[n-1].Number == p.Number {
			out[n-1].Weight += p.Weight
			continue
		}
		out[n], n = p, n+1
	}
	return out[:n]
}

// rank orders statuses, a word that this version does not know last.
func (s Status) rank() int {
	order := []Status{Passing, Warning, Critical, Gone}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}
