package steer

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Explanation is one decision with every step that led to it. It is made from
// what Build left and by Decide itself, so that it cannot say anything else than
// what is answered.
type Explanation struct {
	Decision Decision
	Addrs    []netip.Addr
	Home     string // region that the client is local to, "" if none
	Steps    []string
}

// Explain decides q at now and says why.
func (s *Snapshot) Explain(q Query, now time.Time) Explanation {
	st, svc := s.State(q.Service), &s.Plan.Services[q.Service]
	out := Explanation{Decision: s.Decide(q)}
	var ips [MaxAnswers]netip.Addr
	limit := min(MaxAnswers, s.Plan.Limits.MaxAnswers)
	if svc.Policy == Weighted && !out.Decision.Panic {
		limit = 1
	}
	out.Addrs = append(out.Addrs, ips[:out.Decision.Addrs(ips[:limit])]...)
	e := explainer{s: s, svc: svc, st: st, now: now}
	e.addf("policy %s over %d pools%s", svc.Policy, len(svc.Pools), families46(svc))
	if svc.Policy == Nearest && s.Plan.Clients != nil {
		if home, ok := s.Plan.Clients.Lookup(q.Client); ok {
			out.Home = s.Plan.Regions[home].Name
			e.addf("client %s is local to %s", q.Client, out.Home)
		} else {
			e.addf("client %s is local to no region: the listed order decides", q.Client)
		}
	}
	for p := range svc.Pools {
		e.pool(p, q)
	}
	e.rules()
	e.outcome(&out.Decision, len(out.Addrs))
	out.Steps = e.steps
	return out
}

type explainer struct {
	s     *Snapshot
	svc   *Service
	st    *ServiceState
	now   time.Time
	steps []string
}

func (e *explainer) addf(format string, args ...any) {
	e.steps = append(e.steps, fmt.Sprintf(format, args...))
}

func families46(s *Service) string {
	if s.Separate {
		return "; A and AAAA choose apart"
	}
	return "; A and AAAA come from the same pool"
}

func (e *explainer) pool(p int, q Query) {
	ps, pool := &e.st.Pools[p], &e.svc.Pools[p]
	region := e.s.Plan.Regions[pool.Region].Name
	line := fmt.Sprintf("pool %d %s stands at %s", p+1, region, ps.Standing)
	switch {
	case ps.Why == WhyFailback && ps.Until.IsZero():
		line += ": healthy again, and waits for an operator's failback"
	case ps.Why == WhyFailback:
		line += fmt.Sprintf(": healthy again, failback begins in %s", e.until(ps.Until))
	case ps.Why == WhyRamp:
		in := "outside"
		if e.s.inside(&set{share: uint8(ps.Share), region: uint16(pool.Region)}, q) {
			in = "inside"
		}
		line += fmt.Sprintf(": ramp lets in %d %% of the clients, this one is %s; next step in %s", ps.Share, in, e.until(ps.Until))
	}
	e.addf("%s", line)
	for i := range ps.Ends {
		e.endpoint(&pool.Endpoints[i], &ps.Ends[i], &e.st.Memory.Pools[p].Ends[i])
	}
	e.quota(pool, ps)
}

func (e *explainer) quota(pool *Pool, ps *PoolState) {
	best, have, enabled := None, 0, 0
	for i := range ps.Ends {
		best = max(best, ps.Ends[i].Standing)
	}
	for i := range ps.Ends {
		if ps.Ends[i].Standing != None {
			enabled++
		}
		if ps.Ends[i].Standing == best {
			have++
		}
	}
	if need := (pool.MinHealthy*enabled + 99) / 100; have < need {
		e.addf("    half a step lower: %d of %d endpoints have the best standing, min_healthy %d %% wants %d", have, enabled, pool.MinHealthy, need)
	}
}

func (e *explainer) endpoint(end *Endpoint, es *EndpointState, em *EndpointMemory) {
	line := fmt.Sprintf("  %s %s: %s", end.Label, es.Standing, es.Why)
	switch {
	case es.Why == WhyReleased:
		line += fmt.Sprintf(" %s ago", e.since(em.Released))
	case es.Why.handed() && !es.Made.IsZero():
		line += fmt.Sprintf(" for %s", e.since(es.Made))
	}
	v := es.View
	line += e.verdict(es)
	if v.Confirming {
		line += ", a change is being confirmed"
	}
	if !es.Until.IsZero() {
		line += fmt.Sprintf(", until %s from now", e.until(es.Until))
	}
	if es.Override != "" {
		line += fmt.Sprintf(", by the override on %s", strings.Replace(strings.TrimSuffix(es.Override, "."), "./", "/", 1))
	}
	if end.Target != "" {
		line += fmt.Sprintf(", %d addresses kept", len(end.Addrs))
	}
	e.addf("%s", line)
}

// verdict says since when the endpoint's checks say what they say. Of what stands as
// it does for another reason they are named: that reason has another age.
func (e *explainer) verdict(es *EndpointState) string {
	v, who := &es.View, ""
	if !es.Why.judged() {
		who = ", its checks:"
	}
	switch {
	case v.Verdict == health.Down && who == "":
		return fmt.Sprintf(" (%s, for %s)", v.Cause, e.since(v.Since))
	case v.Verdict == health.Down:
		return fmt.Sprintf("%s down (%s) for %s", who, v.Cause, e.since(v.Since))
	case v.Verdict == health.Up && !v.Since.IsZero() && who == "":
		return fmt.Sprintf(" for %s", e.since(v.Since))
	case v.Verdict == health.Up && !v.Since.IsZero():
		return fmt.Sprintf("%s up for %s", who, e.since(v.Since))
	}
	return ""
}

func (e *explainer) since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return e.now.Sub(t).Round(time.Second)
}

func (e *explainer) until(t time.Time) time.Duration { return max(0, t.Sub(e.now).Round(time.Second)) }

// rules says what acts on the service as a whole.
func (e *explainer) rules() {
	for p := range e.svc.Pools {
		r := &e.s.Regions[e.svc.Pools[p].Region]
		name := e.s.Plan.Regions[e.svc.Pools[p].Region].Name
		if r.Down {
			e.addf("region %s is down: %d of %d services are evidence, %d of %d canaries fail", name, r.Evidence, r.Could, r.Failing, r.Canaries)
		}
		if r.Refused {
			e.addf("region %s would be down, but the cap on regions out is used up", name)
		}
	}
	for _, o := range e.st.Void {
		e.addf("the drain of %s is void: it would leave the service without an endpoint", strings.TrimSuffix(o.Target, "."))
	}
	if e.st.Frozen {
		e.addf("frozen: the pools in use stay%s", map[bool]string{true: ", though others would be chosen now"}[e.st.Pending])
	}
	if e.st.DrainHid {
		e.addf("only a drained endpoint is healthy: undraining it would end this")
	}
}

func (e *explainer) outcome(d *Decision, n int) {
	switch {
	case d.NoData:
		e.addf("nothing is healthy and last_resort is nodata: NODATA")
	case d.Refuse:
		e.addf("nothing is healthy and last_resort is none: SERVFAIL")
	case n == 0:
		e.addf("the chosen pool has no address of this family: NODATA")
	case d.Pool < 0:
		e.addf("answer: %d addresses, reason %s, TTL %d", n, d.Reason, d.TTL)
	default:
		e.addf("answer: pool %d %s, %d addresses, reason %s, TTL %d", d.Pool+1, e.s.Plan.Regions[d.Region].Name, n, d.Reason, d.TTL)
	}
}

// Used returns the names of the regions in use by clients outside any ramp.
func (s *Snapshot) Used(service int32) []string {
	var out []string
	for p, pool := range s.Plan.Services[service].Pools {
		if s.State(service).Memory.used(p) {
			out = append(out, s.Plan.Regions[pool.Region].Name)
		}
	}
	return out
}
