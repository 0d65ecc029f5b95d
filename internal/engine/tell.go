package engine

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// tell logs one line per service whose answer changed, and one per region
// verdict. Nothing is logged per probe or per query.
func (e *Engine) tell(old *Published, s *steer.Snapshot) {
	e.tellRegions(old, s)
	for _, c := range s.Changes {
		e.tellMove(s, c, regionsIn(s.Plan, c.Service, c.From))
	}
}

// tellMoves logs the services that another plan moved.
func (e *Engine) tellMoves(moved []move) {
	s := e.core.Snapshot()
	for _, m := range moved {
		e.tellMove(s, steer.Change{Service: m.service, From: ^uint64(0), To: s.State(m.service).Memory.Used}, m.from)
	}
}

func (e *Engine) tellMove(s *steer.Snapshot, c steer.Change, from string) {
	e.log.Info("service moved", "service", people(s.Plan.Services[c.Service].Name),
		"from", from, "to", regionsIn(s.Plan, c.Service, c.To),
		"reason", s.State(c.Service).Reason, "why", whyMoved(s, c), "gen", s.Gen)
}

func (e *Engine) tellRegions(old *Published, s *steer.Snapshot) {
	for r := range s.Regions {
		was := old.down(s.Plan.Regions[r].Name)
		if now := &s.Regions[r]; now.Down != was {
			e.log.Warn("region "+map[bool]string{true: "down", false: "up again"}[now.Down],
				"region", s.Plan.Regions[r].Name, "evidence", now.Evidence, "of", now.Could,
				"canaries_down", now.Failing, "canaries", now.Canaries)
		}
	}
}

// down reports whether a region was judged down; its number may be another in
// the next plan.
func (p *Published) down(region string) bool {
	if p == nil {
		return false
	}
	i := slices.IndexFunc(p.Snapshot.Plan.Regions, func(r steer.Region) bool { return r.Name == region })
	return i >= 0 && p.Regions[i].Down
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

// whyMoved says what is wrong with the pools that were left, or what is right
// again with those that were entered.
func whyMoved(s *steer.Snapshot, c steer.Change) string {
	st := s.State(c.Service)
	var out []string
	for p := range st.Pools {
		bit := uint64(1) << p
		if c.From&bit == 0 && c.To&bit == 0 {
			continue
		}
		region := s.Plan.Regions[s.Plan.Services[c.Service].Pools[p].Region].Name
		out = append(out, region+" "+Describe(&st.Pools[p]))
	}
	return strings.Join(out, "; ")
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

// tellCheck logs a transition of one check. That a check is Up for the first time
// is no news.
func (e *Engine) tellCheck(i int32, before *health.State) {
	now := e.core.State(i)
	if now.Verdict == before.Verdict {
		return
	}
	k := &e.core.Plan.Checks[i]
	args := []any{
		"endpoint", k.Addr, "monitor", k.Monitor.Name, "type", k.Monitor.Type,
		"region", regionName(e.core.Plan, k), "was", before.Verdict,
	}
	if now.Verdict == health.Down {
		args = append(args, "cause", now.Cause, "detail", now.Last.Detail)
	}
	if !before.Since.IsZero() {
		args = append(args, "after", time.Since(before.Since).Round(time.Second))
	}
	level := slog.LevelInfo
	if now.Verdict == health.Up && !before.WasUp && !before.WasDown && before.Verdict == health.Unknown {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, "check "+now.Verdict.String(), args...)
}

// tellBrake logs when the brake went on or off since it was last told of.
func (e *Engine) tellBrake() {
	was, on := e.told, e.core.Brake.On
	e.told = on
	switch {
	case on && !was:
		e.log.Warn("brake on: most of the world seems to fail at once, so we doubt ourselves; no verdict turns down for at most "+
			e.core.Plan.Config.Limits.Brake.String(), "fired", e.core.Brake.Fired)
	case !on && was:
		e.log.Warn("brake off", "after", time.Since(e.core.Brake.Since).Round(time.Second))
	}
}
