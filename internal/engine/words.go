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
		if t := failing(&st.Pools[p]); !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t
		}
	}
	return strings.Join(out, "; "), since
}

// failing returns since when a pool fails: its oldest endpoint that is Down.
func failing(ps *steer.PoolState) (oldest time.Time) {
	for i := range ps.Ends {
		if v := &ps.Ends[i].View; v.Verdict == health.Down && (oldest.IsZero() || v.Since.Before(oldest)) {
			oldest = v.Since
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
