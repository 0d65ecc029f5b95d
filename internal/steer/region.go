package steer

import (
	"cmp"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// RegionState is the verdict on one region and what it rests on.
type RegionState struct {
	Down     bool
	Since    time.Time // of Down, or of its end
	Evidence int       // services whose endpoints there are all Down, and that are Up elsewhere
	Could    int       // services that could be evidence
	Canaries int
	Failing  int    // canaries that are Down
	Refused  bool   // evidence enough, but the cap on regions out holds it back
	Number   uint32 // of the failback that is under way, or of the last one

	returning int32 // pools that wait for failback or ramp
}

// evidence is what one service says of one region.
type evidence struct {
	region uint16
	is     bool // false: it could be evidence, but is not
}

// The thresholds of the region verdict, in percent of the services that could be
// evidence. The gap between them keeps a region from flapping.
const (
	evidenceDown = 60
	evidenceUp   = 30
)

// takeEvidence asks service s what it says of each region it lives in. The
// answer holds until the next call.
func (b *build) takeEvidence(s *Service) []evidence {
	out := b.scratch.evidence[:0]
	for p := range s.Pools {
		r := s.Pools[p].Region
		if slices.ContainsFunc(out, func(e evidence) bool { return int(e.region) == r }) || !b.upElsewhere(s, r) {
			continue
		}
		if could, is := b.failedIn(s, r); could {
			out = append(out, evidence{uint16(r), is})
		}
	}
	b.scratch.evidence = out
	return out
}

func (b *build) upElsewhere(s *Service, region int) bool {
	for p := range s.Pools {
		if s.Pools[p].Region == region {
			continue
		}
		for e := range s.Pools[p].Endpoints {
			if v, _ := b.view(&s.Pools[p].Endpoints[e]); v.Verdict == health.Up && s.Pools[p].Endpoints[e].Enabled {
				return true
			}
		}
	}
	return false
}

// failedIn weighs the endpoints of s in a region. Those that were never Up or
// that an operator forced say nothing; one that is Unknown keeps the service
// from being evidence.
func (b *build) failedIn(s *Service, region int) (could, is bool) {
	is = true
	for p := range s.Pools {
		if s.Pools[p].Region != region {
			continue
		}
		for e := range s.Pools[p].Endpoints {
			c, i := b.failed(s, &s.Pools[p].Endpoints[e], region)
			could, is = could || c, is && i
		}
	}
	return could, could && is
}

func (b *build) failed(s *Service, end *Endpoint, region int) (could, is bool) {
	v, _ := b.view(end)
	if !end.Enabled || !v.WasUp || b.overridden(s, end, region) {
		return false, true
	}
	return true, v.Verdict == health.Down && !v.Elsewhere
}

func (b *build) overridden(s *Service, e *Endpoint, region int) bool {
	return slices.ContainsFunc(b.overrides, func(o Override) bool {
		return matches(o.Target, s.Name, e.Label, b.plan.Regions[region].Name) > 0
	})
}

// judgeRegions decides every region from the evidence and returns those whose
// verdict changed.
func (b *build) judgeRegions() (changed []int) {
	var want []int
	enabled := 0
	for r := range b.regions {
		if b.hasEnabled(r) {
			enabled++
		}
		b.regions[r].Refused = false
		b.countCanaries(r)
		if b.wantsDown(r) {
			want = append(want, r)
		}
	}
	slices.SortFunc(want, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.regions[y].Evidence, b.regions[x].Evidence),
			cmp.Compare(b.plan.Regions[x].Name, b.plan.Regions[y].Name))
	})
	limit := max(1, enabled*b.plan.Limits.RegionsOut/100)
	for i, r := range want {
		b.regions[r].Refused = i >= limit
	}
	for r := range b.regions {
		down := slices.Contains(want, r) && !b.regions[r].Refused
		if down != b.regions[r].Down {
			b.regions[r].Down, b.regions[r].Since = down, b.now
			changed = append(changed, r)
		}
	}
	return changed
}

func (b *build) hasEnabled(region int) bool { return len(b.plan.byRegion[region]) > 0 }

func (b *build) countCanaries(r int) {
	b.regions[r].Canaries, b.regions[r].Failing = len(b.plan.Regions[r].Canaries), 0
	for _, c := range b.plan.Regions[r].Canaries {
		if v := b.checks[c]; v.Verdict == health.Down && !v.Elsewhere {
			b.regions[r].Failing++
		}
	}
}

func (b *build) wantsDown(r int) bool {
	s := &b.regions[r]
	few := s.Evidence*100 <= evidenceUp*s.Could || s.Evidence <= 1
	most := s.Canaries == 0 || 2*(s.Canaries-s.Failing) > s.Canaries
	if s.Down {
		return !few || !most
	}
	canaries := s.Failing >= 2 && 2*s.Failing >= s.Canaries && s.Evidence >= 1
	return canaries || s.Evidence >= 2 && s.Evidence*100 >= evidenceDown*s.Could && b.differ(r)
}

// differ reports whether the evidence of a region comes from services with
// different monitors: one health page that all of them ask is one witness.
func (b *build) differ(r int) bool {
	first := int32(-1)
	for _, i := range b.plan.byRegion[r] {
		if !slices.Contains(b.evidenceOf(i), evidence{uint16(r), true}) {
			continue
		}
		if first >= 0 && b.plan.Services[i].Monitors != b.plan.Services[first].Monitors {
			return true
		}
		first = i
	}
	return false
}
