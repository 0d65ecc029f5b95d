package admin

import (
	"net/http"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// whatIf computes what an override would do now: who moves, who is left without
// a ready region, who loses the last backup.
func (s *Server) whatIf(o steer.Override) (*Changed, error) {
	now, then, err := s.eng.WhatIf(o)
	if err != nil {
		return nil, err
	}
	out, acts := &Changed{}, false
	a, b := &page{pub: now}, &page{pub: then}
	for i := range b.plan().Services {
		i := int32(i)
		name := people(b.plan().Services[i].Name)
		from, to := now.State(i), then.State(i)
		if from.From != to.From {
			out.Moves = append(out.Moves, Move{name, a.regionsOf(i, from.From), b.regionsOf(i, to.From)})
		}
		acts = out.sort(name, from, to, &o) || acts
		if a.spare(i) && !b.spare(i) {
			out.NoBackup = append(out.NoBackup, name)
		}
	}
	if !acts { // a drain that does nothing is not what anyone means
		out.NoReady, out.Stays = append(out.NoReady, out.Stays...), nil
	}
	return out, nil
}

// sort says what an override does to one service, and reports whether it acts
// there and leaves it well.
func (c *Changed) sort(name string, from, to *steer.ServiceState, o *steer.Override) (acts bool) {
	switch {
	case voids(to, o.Target):
		c.Stays = append(c.Stays, name)
	case o.Kind != steer.ForceUp && (ready(from) && !ready(to) || alive(from) && !alive(to)):
		c.NoReady = append(c.NoReady, name)
	default:
		return touches(to, o.Target)
	}
	return false
}

// touches reports whether the override on a target acts on an endpoint.
func touches(st *steer.ServiceState, target string) bool {
	return slices.ContainsFunc(st.Pools, func(p steer.PoolState) bool {
		return slices.ContainsFunc(p.Ends, func(e steer.EndpointState) bool { return e.Override == target })
	})
}

// ready reports whether some pool is ready, or half a step below it.
func ready(st *steer.ServiceState) bool {
	return slices.ContainsFunc(st.Pools, func(p steer.PoolState) bool { return p.Standing >= steer.Ready-1 })
}

// alive reports whether an endpoint may be used, if only after a hold-down, by what checks
// say: one that fails and is only forced up may not.
func alive(st *steer.ServiceState) bool {
	return slices.ContainsFunc(st.Pools, func(p steer.PoolState) bool {
		return slices.ContainsFunc(p.Ends, func(e steer.EndpointState) bool {
			return e.Standing >= steer.Held && (e.Why != steer.WhyForcedUp || e.View.Verdict != health.Down)
		})
	})
}

// voids reports whether a drain of target would be void for a service, because
// it would leave it nothing at all.
func voids(st *steer.ServiceState, target string) bool {
	return slices.ContainsFunc(st.Void, func(o steer.Override) bool { return o.Target == target })
}

// spare reports whether a service could lose a region.
func (p *page) spare(i int32) bool {
	st := p.pub.State(i)
	return len(p.regionsOf(i, st.From))-1+st.Backups > 0
}

func (s *Server) putFreeze(r *http.Request) (any, error) {
	var in PutFreeze
	if err := read(r, &in); err != nil {
		return nil, err
	}
	target, err := s.freezeTarget(in.Target)
	if err != nil {
		return nil, err
	}
	if err := accountable(in.Reason, in.Owner); err != nil {
		return nil, err
	}
	until, err := end(in.For, in.Until, defaultFreeze, time.Now())
	if err != nil {
		return nil, err
	}
	f := steer.Freeze{Target: target, Until: until, Reason: in.Reason, Owner: in.Owner}
	w := wireFreeze(f)
	out := &Changed{Freeze: &w}
	_, freezes := s.eng.Hands()
	if at := slices.IndexFunc(freezes, func(f steer.Freeze) bool { return f.Target == target }); at >= 0 {
		old := wireFreeze(freezes[at])
		out.Thawed = &old
	}
	err = s.keep(out, s.eng.PutFreeze(f, peer(r)))
	s.audit(r, err, "freeze", "target", orAll(w.Target), "owner", f.Owner, "reason", f.Reason, "until", f.Until.UTC().Format(time.RFC3339))
	return out, err
}

func (s *Server) deleteFreeze(r *http.Request) (any, error) {
	target, err := s.freezeTarget(r.URL.Query().Get("target"))
	if err != nil {
		return nil, err
	}
	_, freezes := s.eng.Hands()
	at := slices.IndexFunc(freezes, func(f steer.Freeze) bool { return f.Target == target })
	if at < 0 {
		return nil, problem(http.StatusNotFound, "there is no freeze on %s", orAll(people(target)))
	}
	w := wireFreeze(freezes[at])
	out := &Changed{Freeze: &w}
	err = s.keep(out, s.eng.DeleteFreeze(target, peer(r)))
	s.audit(r, err, "unfreeze", "target", orAll(w.Target))
	return out, err
}

// freezeTarget is a region or a service, or "" for everything.
func (s *Server) freezeTarget(given string) (string, error) {
	if given == "" {
		return "", nil
	}
	target, err := s.target(given)
	if err != nil {
		return "", err
	}
	cfg := s.eng.Load().Plan.Config
	if _, ok := cfg.Region(target); ok {
		return target, nil
	}
	if _, ok := cfg.Service(target); ok {
		return target, nil
	}
	return "", problem(http.StatusUnprocessableEntity, "%s is an endpoint: name its service or its region", people(target))
}

func orAll(target string) string {
	if target == "" {
		return "everything"
	}
	return target
}

// postFailback lets returning pools take their traffic without waiting. It is
// how a manual failback is done.
func (s *Server) postFailback(r *http.Request) (any, error) {
	var in PostFailback
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if in.Target == "" {
		return nil, problem(http.StatusUnprocessableEntity, "target is missing: a region, a service, or * for all")
	}
	if err := legible(in.Reason, in.Owner); err != nil {
		return nil, err
	}
	if in.Target == "*" {
		in.Target = ""
	}
	target, err := s.freezeTarget(in.Target)
	if err != nil {
		return nil, err
	}
	asked, err := s.eng.Failback(target, in.Now, peer(r))
	err = gone(err)
	s.audit(r, err, "failback", "target", orAll(people(target)), "owner", in.Owner, "reason", in.Reason, "now", in.Now, "pools", asked.Pools)
	return &Changed{Failback: asked.Pools, Split: asked.Split}, err
}
