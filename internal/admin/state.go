package admin

import (
	"slices"
	"strings"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// The states of a service, the worst first.
const (
	statePanic    = "panic"        // it has nothing healthy
	stateLost     = "no backup"    // it had one; the next failure leaves it without an answer
	stateWriter   = "writer moved" // a single writer is elsewhere than configured
	stateMoved    = "moved"        // it is answered from elsewhere than configured
	stateReturns  = "returning"    // traffic goes back to where it belongs
	stateReduced  = "reduced"      // something of it fails or is drained, and its answers are as configured
	stateSuspects = "suspected"    // a failure is being confirmed
	stateOK       = "ok"
)

var severity = []string{statePanic, stateLost, stateWriter, stateMoved, stateReturns, stateReduced, stateSuspects, stateOK}

// worse reports whether a state comes before another.
func worse(a, b string) int { return slices.Index(severity, a) - slices.Index(severity, b) }

// stateOf says how a service is.
func (p *page) stateOf(i int32, lost bool) string {
	s, st := &p.plan().Services[i], p.pub.State(i)
	moved := p.isElsewhere(i)
	switch {
	case st.Panic:
		return statePanic
	case lost:
		return stateLost
	case moved && s.SingleWriter:
		return stateWriter
	case st.Ramps != 0, moved && returns(st):
		return stateReturns
	case moved:
		return stateMoved
	case slices.ContainsFunc(st.Pools, func(ps steer.PoolState) bool { return troubled(&ps) }):
		return stateReduced
	case suspected(st):
		return stateSuspects
	}
	return stateOK
}

// returns reports whether a pool is on its way back.
func returns(st *steer.ServiceState) bool {
	return slices.ContainsFunc(st.Pools, func(ps steer.PoolState) bool { return ps.Why == steer.WhyFailback || ps.Why == steer.WhyRamp })
}

// suspected reports whether a change of an endpoint is being confirmed.
func suspected(st *steer.ServiceState) bool {
	return slices.ContainsFunc(st.Pools, func(ps steer.PoolState) bool {
		return slices.ContainsFunc(ps.Ends, func(e steer.EndpointState) bool { return e.View.Confirming && e.Why != steer.WhyDisabled })
	})
}

// confirming counts the endpoints of which a change is being confirmed.
func (p *page) confirming() (n int) {
	for i := range p.plan().Services {
		for _, ps := range p.pub.State(int32(i)).Pools { // #nosec G115 -- an index of services
			for e := range ps.Ends {
				n += yes(ps.Ends[e].View.Confirming && ps.Ends[e].Why != steer.WhyDisabled)
			}
		}
	}
	return n
}

// causesOf lists why endpoints of a service are down, each cause once, that of the first
// pool first.
func causesOf(st *steer.ServiceState) string {
	var out []string
	for n := range st.Pools {
		for e := range st.Pools[n].Ends {
			end := &st.Pools[n].Ends[e]
			if end.View.Verdict != health.Down || end.Why == steer.WhyDisabled {
				continue
			}
			if c := end.View.Cause.String(); !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return strings.Join(out, ", ")
}
