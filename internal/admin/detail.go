package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// getService is one service with its pools, endpoints and checks.
func (s *Server) getService(r *http.Request) (any, error) {
	overrides, _ := s.eng.Hands()
	var out Service
	var wrong error
	err := s.eng.Inspect(func(pub *engine.Published, check func(int32) *health.State) {
		i, err := serviceIndex(pub, r.PathValue("name"))
		if err != nil {
			wrong = err
			return
		}
		p := &page{pub: pub, overrides: overrides, now: time.Now()}
		out = p.service(i)
		out.Pools = p.pools(i, check)
	})
	if err == nil {
		err = wrong
	}
	return out, gone(err)
}

// gone tells a peer that the server is about to end.
func gone(err error) error {
	if errors.Is(err, engine.ErrClosed) {
		return problem(http.StatusServiceUnavailable, "the resolver is stopping")
	}
	if errors.Is(err, context.Canceled) {
		return problem(http.StatusServiceUnavailable, "nobody waits for this any more")
	}
	return err
}

// serviceIndex finds a service by its name, as it is written in the file.
func serviceIndex(pub *engine.Published, name string) (int32, error) {
	cfg := pub.Plan.Config
	if svc, ok := cfg.Service(name); ok {
		for i := range cfg.Services {
			if &cfg.Services[i] == svc {
				return int32(i), nil
			}
		}
	}
	return 0, unknown("service", name, serviceNames(cfg))
}

func (p *page) pools(i int32, check func(int32) *health.State) []Pool {
	s, st := &p.plan().Services[i], p.pub.State(i)
	out := make([]Pool, 0, len(s.Pools))
	for n := range s.Pools {
		ps := &st.Pools[n]
		w := Pool{
			Region: p.plan().Regions[s.Pools[n].Region].Name, Standing: ps.Standing.String(), Why: engine.Describe(ps),
			InUse: st.From&(1<<n) != 0, Share: ps.Share, Until: ps.Until, Endpoints: []Endpoint{},
		}
		for e := range ps.Ends {
			w.Endpoints = append(w.Endpoints, p.endpoint(&s.Pools[n].Endpoints[e], &ps.Ends[e], check))
		}
		out = append(out, w)
	}
	return out
}

func (p *page) endpoint(end *steer.Endpoint, es *steer.EndpointState, check func(int32) *health.State) Endpoint {
	out := Endpoint{
		Label: end.Label, Standing: es.Standing.String(), Why: es.Why.String(), Verdict: es.View.Verdict.String(),
		Since: es.View.Since, Confirming: es.View.Confirming, Until: es.Until, Override: people(es.Override), Checks: []Check{},
	}
	if es.View.Verdict == health.Down {
		out.Cause = es.View.Cause.String()
	}
	for a := range end.Addrs {
		for _, c := range end.Addrs[a].Checks {
			out.Checks = append(out.Checks, p.check(c, check(c), true))
		}
		for _, c := range end.Addrs[a].Shown {
			out.Checks = append(out.Checks, p.check(c, check(c), false))
		}
	}
	return out
}

func (p *page) check(i int32, st *health.State, votes bool) Check {
	k := &p.pub.Plan.Checks[i]
	out := Check{
		Monitor: k.Monitor.Name, Type: string(k.Monitor.Type), Address: k.Addr.String(), Votes: votes,
		Verdict: st.Verdict.String(), Since: st.Since, At: st.Last.At, Expiry: st.Last.Expiry,
		Latency: float64(st.Last.Latency.Microseconds()) / 1000,
	}
	if !st.Last.At.IsZero() {
		out.Last, out.Detail = st.Last.Cause.String(), st.Last.Detail
	}
	return out
}
