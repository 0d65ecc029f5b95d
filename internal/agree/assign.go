package agree

import (
	"cmp"
	"slices"
)

// When observers divide their checks, and among how many.
const (
	Least = 3    // observers of each check, besides one in each zone
	Few   = 5    // observers, this one included, that do not divide anything
	Easy  = 1000 // probes a second that are not divided
)

// Divided reports whether so many observers divide checks that are probed rate
// times a second in all, where easy is what one of them does without: Easy.
func Divided(observers int, rate, easy float64) bool { return observers > Few && rate > easy }

// Member is an observer that probes, as another one sees it.
type Member struct {
	Name  string // unique
	Zone  string
	Alike Buckets // in which it judges the same checks as who asks; of oneself all
}

// Team divides checks among its members by rendezvous: each member draws a number
// for each check, and the highest ones probe it. Who knows the same members comes
// to the same result, and who comes or goes moves only the checks that it gets or
// had. It is not safe for concurrent use.
type Team struct {
	members []seat // by name
	least   int
	drawn   []uint64 // scratch, by member: its number for a check
	best    []int    // scratch, by zone: the member that drew the highest, -1 if none drew
	chosen  []bool   // scratch, by member
}

type seat struct {
	Member
	zone int    // the same number in the same zone
	seed uint64 // of the numbers that it draws
}

// NewTeam returns the team of some members, of whom at least so many probe each
// check: Least, or what a quorum needs.
func NewTeam(members []Member, least int) *Team {
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	t := &Team{least: least, drawn: make([]uint64, len(members)), chosen: make([]bool, len(members))}
	zones := map[string]int{}
	for _, m := range members {
		if _, known := zones[m.Zone]; !known {
			zones[m.Zone] = len(zones)
		}
		t.members = append(t.members, seat{m, zones[m.Zone], hashName(m.Name)})
	}
	t.best = make([]int, len(zones))
	return t
}

// Clone returns a team of the same members with scratch space of its own.
func (t *Team) Clone() *Team {
	return &Team{
		members: slices.Clone(t.members), least: t.least,
		drawn: make([]uint64, len(t.drawn)), best: make([]int, len(t.best)), chosen: make([]bool, len(t.chosen)),
	}
}

// hashName is FNV-1a, mixed.
func hashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// Same reports whether t and o divide alike.
func (t *Team) Same(o *Team) bool {
	return o != nil && t.least == o.least && slices.Equal(t.members, o.members)
}

// Size returns how many members there are.
func (t *Team) Size() int { return len(t.members) }

// Name returns the name of a member.
func (t *Team) Name(member int) string { return t.members[member].Name }

// Zone returns the zone of a member.
func (t *Team) Zone(member int) string { return t.members[member].Zone }

// Find returns the number of a member, -1 if there is none of that name.
func (t *Team) Find(name string) int {
	return slices.IndexFunc(t.members, func(m seat) bool { return m.Name == name })
}

// Probes reports whether a member is among those that probe the check with this
// ID: of each zone the one that drew the highest number, and then the highest of
// all others until there are enough. Who judges other checks of its bucket draws
// no number.
func (t *Team) Probes(member int, id uint64) bool {
	t.choose(id)
	return t.chosen[member]
}

// Of appends the numbers of all members that probe the check with this ID.
func (t *Team) Of(id uint64, to []int) []int {
	t.choose(id)
	for i, yes := range t.chosen {
		if yes {
			to = append(to, i)
		}
	}
	return to
}

func (t *Team) choose(id uint64) {
	t.draw(id)
	n := 0
	for _, b := range t.best {
		if b >= 0 {
			t.chosen[b] = true
			n++
		}
	}
	for b := t.highest(); n < t.least && b >= 0; b = t.highest() {
		t.chosen[b] = true
		n++
	}
}

// draw has each member draw its number for a check, and finds the highest of each
// zone.
func (t *Team) draw(id uint64) {
	clear(t.chosen)
	for z := range t.best {
		t.best[z] = -1
	}
	mixed := mix(id)
	in := Buckets(1) << bucket(mixed)
	for i := range t.members {
		m := &t.members[i]
		if t.drawn[i] = 0; m.Alike&in == 0 {
			continue
		}
		t.drawn[i] = mix(mixed^m.seed) | 1 // 0 is who draws none
		if b := t.best[m.zone]; b < 0 || t.drawn[i] > t.drawn[b] {
			t.best[m.zone] = i
		}
	}
}

// highest returns who drew the highest number of those that are not chosen yet, -1
// if nobody is left.
func (t *Team) highest() int {
	best := -1
	for i, d := range t.drawn {
		if d > 0 && !t.chosen[i] && (best < 0 || d > t.drawn[best]) {
			best = i
		}
	}
	return best
}
