package steer

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// OverrideKind is what an operator does to a target.
type OverrideKind uint8

// The kinds.
const (
	Drain     OverrideKind = iota // never answered
	ForceDown                     // as if its checks failed
	ForceUp                       // as if its checks passed (ignore-health)
)

var overrideKinds = [...]string{"drain", "down", "up"}

// Known reports whether this version knows what the kind does.
func (k OverrideKind) Known() bool { return int(k) < len(overrideKinds) }

// String returns the kind's name in failover.yaml.
func (k OverrideKind) String() string {
	if !k.Known() {
		return "unknown"
	}
	return overrideKinds[k]
}

// Override is an operator's decision. Whether it has expired is judged by Build.
type Override struct {
	Target  string // region, service (with last dot), or service/endpoint label
	Kind    OverrideKind
	Reserve bool      // drain: usable below sick, above dark
	Made    time.Time // the youngest drain yields first
	Until   time.Time // zero: no end
	Reason  string
	Owner   string
	From    string // the file that it stands in, "" if it was made at run time
}

// After returns o as it takes the place of an earlier one on its target. One that goes
// on keeps its age: were a drain that is made longer the youngest, it would be the one
// that yields, and traffic would return to what is being drained.
func (o Override) After(old *Override, now time.Time) Override {
	if old.Kind == o.Kind && old.Reserve == o.Reserve && !old.Made.IsZero() && !old.expired(now) {
		o.Made = old.Made
	}
	return o
}

func (o *Override) expired(now time.Time) bool { return !o.Until.IsZero() && !now.Before(o.Until) }

// Freeze stops automation on one target, or on all if Target is empty.
type Freeze struct {
	Target string // "", region or service
	Until  time.Time
	Reason string
	Owner  string
}

// hand is an override that acts on an endpoint of the service being built.
type hand struct {
	o    *Override
	rank int // how closely the target names the endpoint: 3 endpoint, 2 service, 1 region
}

// handsOn returns the overrides that act on each endpoint of pool p.
func (b *build) handsOn(s *Service, p int) [][]hand {
	pool := &s.Pools[p]
	var out [][]hand
	for i := range b.overrides {
		o := &b.overrides[i]
		for e := range pool.Endpoints {
			rank := matches(o.Target, s.Name, pool.Endpoints[e].Label, b.plan.Regions[pool.Region].Name)
			if rank == 0 {
				continue
			}
			if out == nil {
				out = make([][]hand, len(pool.Endpoints))
			}
			out[e] = append(out[e], hand{o, rank})
		}
	}
	return out
}

func matches(target, service, label, region string) int {
	switch target {
	case region:
		return 1
	case service:
		return 2
	}
	if rest, ok := strings.CutPrefix(target, service); ok && rest == "/"+label {
		return 3
	}
	return 0
}

// safeHands returns the overrides of every pool after the safety rule: a drain
// that would leave the service without an enabled endpoint is void, the youngest
// first. What is void is returned for people to see.
func (b *build) safeHands(s *Service) (hands [][][]hand, void []*Override) {
	if len(b.overrides) == 0 {
		return nil, nil
	}
	hands = make([][][]hand, len(s.Pools))
	for p := range s.Pools {
		hands[p] = b.handsOn(s, p)
	}
	for !anyEnabled(s, hands, void) {
		youngest := youngestDrain(hands, void)
		if youngest == nil {
			break
		}
		void = append(void, youngest)
	}
	for p := range hands {
		for e := range hands[p] {
			hands[p][e] = slices.DeleteFunc(hands[p][e], func(h hand) bool { return slices.Contains(void, h.o) })
		}
	}
	return hands, void
}

func anyEnabled(s *Service, hands [][][]hand, void []*Override) bool {
	for p := range s.Pools {
		for e := range s.Pools[p].Endpoints {
			if s.Pools[p].Endpoints[e].Enabled && (hands[p] == nil || !drained(hands[p][e], void)) {
				return true
			}
		}
	}
	return false
}

func drained(hands []hand, void []*Override) bool {
	return slices.ContainsFunc(hands, func(h hand) bool {
		return h.o.Kind == Drain && !h.o.Reserve && !slices.Contains(void, h.o)
	})
}

func youngestDrain(hands [][][]hand, void []*Override) *Override {
	var y *Override
	for _, h := range slices.Concat(slices.Concat(hands...)...) {
		if h.o.Kind != Drain || h.o.Reserve || slices.Contains(void, h.o) {
			continue
		}
		if y == nil || younger(h.o, y) {
			y = h.o
		}
	}
	return y
}

func younger(a, b *Override) bool {
	return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Target, b.Target)) > 0
}

// strongest returns the override that decides: any drain, else the one that
// names the endpoint most closely, else the youngest.
func strongest(hands []hand) *Override {
	if len(hands) == 0 {
		return nil
	}
	h := slices.MaxFunc(hands, func(a, b hand) int {
		da, db := a.o.Kind == Drain, b.o.Kind == Drain
		if da != db {
			return boolCmp(da, db)
		}
		if da && a.o.Reserve != b.o.Reserve {
			return boolCmp(!a.o.Reserve, !b.o.Reserve)
		}
		return cmp.Or(cmp.Compare(a.rank, b.rank), a.o.Made.Compare(b.o.Made))
	})
	return h.o
}

func boolCmp(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// frozen reports whether a freeze holds for service s.
func (b *build) frozen(s *Service) bool {
	return slices.ContainsFunc(b.freezes, func(f Freeze) bool { return f.holds(b.plan, s) })
}

// Holds reports whether the freeze is on a service of p, its time aside.
func (f *Freeze) Holds(p *Plan, service int32) bool { return f.holds(p, &p.Services[service]) }

func (f *Freeze) holds(plan *Plan, s *Service) bool {
	if f.Target == "" || f.Target == s.Name {
		return true
	}
	return slices.ContainsFunc(s.Pools, func(p Pool) bool { return plan.Regions[p.Region].Name == f.Target })
}
