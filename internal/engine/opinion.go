package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// maxJudged is how many verdicts an opinion lists one by one. Beyond it regions
// of which more than half is Down are summed up, with what is not: in a region's failure every observer writes
// this to all the others.
const maxJudged = 500

// maxListed is how many verdicts an opinion can hold. Who has more to say has no
// voice until that is less: to leave some out would be to say that they are Up.
const maxListed = 3000

// Opinion returns what this observer holds, for the others. Who it is, the caller
// adds.
func (c *Core) Opinion(now time.Time) share.Opinion {
	o := share.Opinion{
		Zone: c.council.zone, Plan: c.council.digest, Buckets: slices.Clone(c.council.digests[:]), Assigned: c.council.duty.told, Braked: c.Brake.On,
	}
	if c.snap != nil {
		o.Decision = hex(c.snap.Hash())
	}
	byRegion, total := c.notUp(now)
	for r, list := range byRegion {
		if s, ok := c.sum(r, list); ok && total > maxJudged {
			o.Summed = append(o.Summed, s)
			o.Judged = append(o.Judged, slices.DeleteFunc(list, func(j share.Judged) bool { return j.Verdict == health.Down })...)
		} else {
			o.Judged = append(o.Judged, list...)
		}
	}
	listed := len(o.Judged)
	for i := range o.Summed {
		listed += len(o.Summed[i].Except)
	}
	if listed > maxListed { // as at a start, when nothing is known yet
		o.Judged, o.Summed, o.Braked = nil, nil, true
	}
	return o
}

// notUp lists by region the checks that are not Up here, of those that the others
// know to be probed here.
func (c *Core) notUp(now time.Time) (byRegion [][]share.Judged, total int) {
	byRegion = make([][]share.Judged, len(c.Plan.Config.Regions))
	for i := range c.states {
		s, k := &c.states[i], &c.Plan.Checks[i]
		if s.Verdict == health.Up || k.Region < 0 || !c.council.duty.tells(i) {
			continue
		}
		j := share.Judged{ID: c.council.ids[i], Verdict: s.Verdict, Cause: s.Cause}
		if !s.Since.IsZero() {
			j.Age = now.Sub(s.Since)
		}
		byRegion[k.Region] = append(byRegion[k.Region], j)
		total++
	}
	return byRegion, total
}

// sum sums up region r, of whose checks those in list are not Up, if most of those
// that are probed here are Down.
func (c *Core) sum(r int, list []share.Judged) (s share.Summed, ok bool) {
	down, causes := map[uint64]bool{}, map[health.Cause]int{}
	for _, j := range list {
		if j.Verdict != health.Down {
			continue
		}
		down[j.ID] = true
		causes[j.Cause]++
		if causes[j.Cause] > causes[s.Cause] {
			s.Cause = j.Cause
		}
	}
	s.Region = c.Plan.Config.Regions[r].Name
	for i := range c.Plan.Checks {
		if id := c.council.ids[i]; c.Plan.Checks[i].Region == r && !down[id] && c.council.duty.tells(i) {
			s.Except = append(s.Except, id)
		}
	}
	return s, len(down) > len(s.Except) && len(list) > 50
}

// hex writes a hash as people compare it.
func hex(h uint64) string { return fmt.Sprintf("%016x", h) }
