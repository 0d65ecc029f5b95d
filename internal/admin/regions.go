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
	p.countEndpoints(out, in, broken)
	return out
}

// countEndpoints counts the endpoints of each region, and which services there fail
// wherever they run.
func (p *page) countEndpoints(out []Region, in []map[int]*part, broken []failed) {
	fail := map[int32]bool{}
	for i := range broken {
		fail[broken[i].service] = true
		for r := range in[broken[i].service] {
			out[r].Broken++
		}
	}
	for r, ends := range p.endpoints(fail) {
		for _, e := range ends {
			e.countIn(&out[r])
		}
	}
}

// address is an endpoint of a region, which may be that of many services.
type address struct {
	verdict health.Verdict // the worst of them: Down, Unknown, Up
	sound   bool           // it is down for a service that does not fail everywhere
	drained bool
}

// endpoints gathers the endpoints of each region by their labels. broken are the services
// that fail wherever they run.
func (p *page) endpoints(broken map[int32]bool) []map[string]*address {
	out := make([]map[string]*address, len(p.plan().Regions))
	for i := range p.plan().Services {
		i := int32(i) // #nosec G115 -- an index of services
		s, st := &p.plan().Services[i], p.pub.State(i)
		for n := range st.Pools {
			in := &out[s.Pools[n].Region]
			if *in == nil {
				*in = map[string]*address{}
			}
			for e := range st.Pools[n].Ends {
				take(*in, s.Pools[n].Endpoints[e].Label, &st.Pools[n].Ends[e], broken[i])
			}
		}
	}
	return out
}

// take notes how an endpoint stands for one service.
func take(in map[string]*address, label string, e *steer.EndpointState, broken bool) {
	if e.Why == steer.WhyDisabled {
		return
	}
	a, known := in[label]
	if !known {
		a = &address{verdict: health.Up}
		in[label] = a
	}
	switch v := e.View.Verdict; v {
	case health.Down:
		a.verdict, a.sound = v, a.sound || !broken
	case health.Unknown:
		if a.verdict == health.Up {
			a.verdict = v
		}
	case health.Up:
	}
	a.drained = a.drained || e.Why == steer.WhyDrained
}

func (a *address) countIn(r *Region) {
	switch a.verdict {
	case health.Down:
		r.Endpoints.Down++
		r.BrokenEndpoints += yes(!a.sound)
	case health.Unknown:
		r.Endpoints.Unknown++
	case health.Up:
		r.Endpoints.Up++
	}
	r.Endpoints.Drained += yes(a.drained)
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
