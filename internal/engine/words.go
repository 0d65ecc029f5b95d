package engine

import (
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// people writes a service's name, or a target, without the name's last dot.
func people(name string) string {
	return strings.Replace(strings.TrimSuffix(name, "."), "./", "/", 1)
}

// regionsIn names the regions of a set of pools.
func regionsIn(p *steer.Plan, service int32, pools uint64) string {
	var out []string
	for i, pool := range p.Services[service].Pools {
		if pools&(1<<i) != 0 {
			out = append(out, p.Regions[pool.Region].Name)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, "+")
}

// places names the regions that a service is answered from, or says that its
// addresses are those of its last resort.
func places(p *steer.Plan, service int32, pools uint64, fixed bool) string {
	if pools == 0 && fixed {
		return "fixed addresses"
	}
	return regionsIn(p, service, pools)
}

// whyMoved says what is wrong with the pools that were left, or what is right
// again with those that were entered, and since when.
func whyMoved(s *steer.Snapshot, c steer.Change) (why string, since time.Time) {
	st := s.State(c.Service)
	var out []string
	for p := range st.Pools {
		bit := uint64(1) << p
		if c.From&bit == 0 && c.To&bit == 0 {
			continue
		}
		region := s.Plan.Regions[s.Plan.Services[c.Service].Pools[p].Region].Name
		out = append(out, region+" "+Describe(&st.Pools[p]))
		since = earlier(since, failing(&st.Pools[p]))
	}
	if since.IsZero() {
		since = becauseOf(s, c)
	}
	return strings.Join(out, "; "), since
}

// becauseOf returns since when there is the reason of a move that no endpoint's
// failure gave: a region's verdict, an override, or else that a pool is well again.
func becauseOf(s *steer.Snapshot, c steer.Change) (since time.Time) {
	st := s.State(c.Service)
	for p := range st.Pools {
		if bit := uint64(1) << p; c.From&bit != 0 && c.To&bit == 0 {
			since = earlier(since, held(&st.Pools[p], &s.Regions[s.Plan.Services[c.Service].Pools[p].Region]))
		}
	}
	for p := range st.Pools {
		if bit := uint64(1) << p; since.IsZero() && c.From&bit == 0 && c.To&bit != 0 {
			since = risen(&st.Pools[p], st.Memory.Pools[p].Ends)
		}
	}
	return since
}

// held returns since when people or a region's verdict keep a pool from use.
func held(ps *steer.PoolState, r *steer.RegionState) (since time.Time) {
	for i := range ps.Ends {
		switch es := &ps.Ends[i]; es.Why { //nolint:exhaustive // the others are no reasons of this kind
		case steer.WhyRegion:
			since = earlier(since, r.Since)
		case steer.WhyDrained, steer.WhyForcedDown:
			since = earlier(since, es.Made)
		}
	}
	return since
}

// risen returns since when a pool has an endpoint that is Up and may be used.
func risen(ps *steer.PoolState, mem []steer.EndpointMemory) (since time.Time) {
	for i := range ps.Ends {
		v := &ps.Ends[i].View
		if v.Verdict != health.Up {
			continue
		}
		since = earlier(since, later(v.Since, mem[i].Released))
	}
	return since
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// failing returns since when a pool fails: its oldest endpoint that is Down.
func failing(ps *steer.PoolState) (oldest time.Time) {
	for i := range ps.Ends {
		if v := &ps.Ends[i].View; v.Verdict == health.Down {
			oldest = earlier(oldest, v.Since)
		}
	}
	return oldest
}

// Describe says how a pool stands, in words: "dark (2 of 2 down: timeout)".
func Describe(ps *steer.PoolState) string {
	down, total := 0, 0
	var causes []string
	for i := range ps.Ends {
		e := &ps.Ends[i]
		if e.Why == steer.WhyDisabled {
			continue
		}
		total++
		if e.View.Verdict == health.Down {
			down++
			causes = appendMissing(causes, e.View.Cause.String())
		}
	}
	var b strings.Builder
	b.WriteString(ps.Standing.String())
	switch {
	case down > 0:
		b.WriteString(" (" + strconv.Itoa(down) + " of " + strconv.Itoa(total) + " down: " + strings.Join(causes, ", ") + ")")
	case ps.Why != steer.WhyUp:
		b.WriteString(" (" + ps.Why.String() + ")")
	case len(ps.Ends) > 0 && ps.Ends[0].Why != steer.WhyUp:
		b.WriteString(" (" + ps.Ends[0].Why.String() + ")")
	}
	return b.String()
}

func appendMissing(list []string, s string) []string {
	for _, x := range list {
		if x == s {
			return list
		}
	}
	return append(list, s)
}

// many writes a number with what it counts.
func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// some names what a number counts, as far as a line can.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", ..."
}
