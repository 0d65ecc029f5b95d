package admin

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// regions counts what lies in each region.
func (p *page) regions(in []map[int]*part, broken []failed) []Region {
	out := make([]Region, len(p.pub.Regions))
	for r := range out {
		v := &p.pub.Regions[r]
		out[r] = Region{
			Name: p.plan().Regions[r].Name, Down: v.Down, Evidence: v.Evidence, Could: v.Could,
			Canaries: v.Canaries, CanariesDown: v.Failing, CapRefused: v.Refused, Causes: map[string]int{},
		}
		if v.Down {
			out[r].Since = v.Since
		}
	}
	for _, parts := range in {
		for r, part := range parts {
			out[r].add(part)
		}
	}
	for i := range broken {
		for r, part := range in[broken[i].service] {
			out[r].Broken++
			out[r].BrokenEndpoints += part.ends.Down
		}
	}
	return out
}

// parts gathers every service's pools by region.
func (p *page) parts() []map[int]*part {
	out := make([]map[int]*part, len(p.plan().Services))
	for i := range out {
		out[i] = p.inRegions(int32(i)) // #nosec G115 -- an index of services
	}
	return out
}

// part is what one service has in one region.
type part struct {
	ends      Endpoints
	enabled   int
	serving   bool
	returning bool
	share     int // of a ramp; 100 without one
	cause     health.Cause
	oldest    time.Time // failure
}

// inRegions gathers a service's pools by region.
func (p *page) inRegions(i int32) map[int]*part {
	out := map[int]*part{}
	st := p.pub.State(i)
	for n := range st.Pools {
		pool := &p.plan().Services[i].Pools[n]
		in := out[pool.Region]
		if in == nil {
			in = &part{share: 100}
			out[pool.Region] = in
		}
		ps := &st.Pools[n]
		in.serving = in.serving || st.From&(1<<n) != 0
		in.returning = in.returning || ps.Why == steer.WhyFailback || ps.Why == steer.WhyRamp
		if ps.Why == steer.WhyRamp {
			in.share = min(in.share, ps.Share)
		}
		for e := range ps.Ends {
			in.count(&ps.Ends[e])
		}
	}
	return out
}

func (in *part) count(e *steer.EndpointState) {
	if e.Why == steer.WhyDisabled {
		return
	}
	if e.Why == steer.WhyDrained {
		in.ends.Drained++
	}
	in.enabled++
	switch e.View.Verdict {
	case health.Up:
		in.ends.Up++
	case health.Down:
		in.ends.Down++
		if in.oldest.IsZero() || e.View.Since.Before(in.oldest) {
			in.cause, in.oldest = e.View.Cause, e.View.Since
		}
	case health.Unknown:
		in.ends.Unknown++
	}
}

func (r *Region) add(in *part) {
	r.Services++
	r.Endpoints.Up += in.ends.Up
	r.Endpoints.Down += in.ends.Down
	r.Endpoints.Unknown += in.ends.Unknown
	r.Endpoints.Drained += in.ends.Drained
	if in.serving {
		r.Serving++
	}
	if in.returning {
		r.Returning++
	}
	if in.share < 100 && (r.Share == 0 || in.share < r.Share) {
		r.Share = in.share
	}
	if in.enabled > 0 && in.ends.Down == in.enabled {
		r.NothingUp++
		r.Causes[in.cause.String()]++
	}
	if !r.Down && in.ends.Down > 0 && (r.Since.IsZero() || in.oldest.Before(r.Since)) {
		r.Since = in.oldest
	}
}
