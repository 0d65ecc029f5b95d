package admin

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// Compared is the reply to POST /v1/check, whose body is a failover.yaml: what it
// would change in a running resolver, on the health of now. Nothing is changed.
type Compared struct {
	Same    bool     `json:"same"`              // it is the one in use
	Faults  []string `json:"faults"`            // it would not be taken: file:line:col: message
	Refused string   `json:"refused,omitempty"` // it is faultless, and would not be taken
	Moves   []Move   `json:"moves"`             // services whose regions in use would change
	Others  []Other  `json:"others"`            // services that would answer from where they do, but otherwise
	Added   []string `json:"added"`             // services
	Removed []string `json:"removed"`           // services: they would no longer be answered
	Checks  int      `json:"checks"`            // that there would be
	New     int      `json:"new_checks"`        // that are not made now: they begin without a verdict, or with their endpoint's
}

// Other is a service whose answers would be others, from the same regions.
type Other struct {
	Service string   `json:"service"`
	What    []string `json:"what"` // addresses, policy, ttl
}

// postCheck compares one file at a time. What it costs is bounded by what runs, and
// ends when whoever asked is gone.
func (s *Server) postCheck(r *http.Request) (any, error) {
	select {
	case s.checking <- struct{}{}:
		defer func() { <-s.checking }()
	default:
		return nil, later(http.StatusTooManyRequests, time.Second, "another file is being compared: try again")
	}
	running := s.eng.Load().Plan.Config
	data, err := io.ReadAll(r.Body)
	switch {
	case tooLarge(err):
		return nil, problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes, a quarter more than the file in use or 1 MiB", running.Room().Bytes)
	case err != nil:
		return nil, problem(http.StatusBadRequest, "the body cannot be read: %v", err)
	}
	out := &Compared{Faults: []string{}, Moves: []Move{}, Others: []Other{}, Added: []string{}, Removed: []string{}}
	cfg, err := config.ParseWithin(running.Path, data, running.Room())
	if err != nil {
		out.Faults = lines(err)
		return out, nil
	}
	c, err := s.eng.Against(r.Context(), cfg)
	if err != nil {
		return nil, gone(err)
	}
	out.compare(&c)
	return out, nil
}

// largest returns how large the body of a request may be.
func (s *Server) largest(to *route) int64 {
	if _, text := to.body.(string); text {
		return int64(s.eng.Load().Plan.Config.Room().Bytes)
	}
	return maxBody
}

func lines(err error) []string { return strings.Split(err.Error(), "\n") }

// compare fills in what is other.
func (out *Compared) compare(c *engine.Comparison) {
	out.Same = c.Now.Plan.Config.Hash == c.Then.Plan.Config.Hash
	if c.Refused != nil {
		out.Refused = c.Refused.Error()
	}
	out.Checks = len(c.Then.Plan.Checks)
	known := make(map[string]bool, len(c.Now.Plan.Checks))
	for i := range c.Now.Plan.Checks {
		known[c.Now.Plan.Checks[i].Key] = true
	}
	for i := range c.Then.Plan.Checks {
		if !known[c.Then.Plan.Checks[i].Key] {
			out.New++
		}
	}
	out.services(&page{pub: c.Now}, &page{pub: c.Then})
}

// services compares the answers of two snapshots of different plans.
func (out *Compared) services(now, then *page) {
	before := make(map[string]int32, len(now.plan().Services))
	for i := range now.plan().Services {
		before[now.plan().Services[i].Name] = int32(i)
	}
	for i := range then.plan().Services {
		name := then.plan().Services[i].Name
		was, ok := before[name]
		delete(before, name)
		if !ok {
			out.Added = append(out.Added, people(name))
			continue
		}
		from := now.regionsOf(was, now.pub.Answered(was))
		to := then.regionsOf(int32(i), then.pub.Answered(int32(i)))
		if !slices.Equal(from, to) {
			out.Moves = append(out.Moves, Move{people(name), from, to})
		} else if what := differ(now, then, was, int32(i)); len(what) > 0 {
			out.Others = append(out.Others, Other{people(name), what})
		}
	}
	for name := range before {
		out.Removed = append(out.Removed, people(name))
	}
	slices.Sort(out.Removed)
}

// differ says what is other in the answers of a service that stays where it is.
func differ(now, then *page, was, is int32) (what []string) {
	a, b := &now.plan().Services[was], &then.plan().Services[is]
	if !maps.Equal(now.offered(was), then.offered(is)) {
		what = append(what, "addresses")
	}
	if a.Policy != b.Policy || a.Sticky != b.Sticky {
		what = append(what, "policy")
	}
	if a.Settled != b.Settled || a.Changing != b.Changing {
		what = append(what, "ttl")
	}
	return what
}

// offered returns the endpoints of the pools in use, with their weights: what
// answers are made of while these are well.
func (p *page) offered(i int32) map[string]int {
	out := map[string]int{}
	used := p.pub.Answered(i)
	for n := range p.plan().Services[i].Pools {
		pool := &p.plan().Services[i].Pools[n]
		if used&(1<<n) == 0 {
			continue
		}
		for e := range pool.Endpoints {
			if end := &pool.Endpoints[e]; end.Enabled {
				out[end.Label] = end.Weight
			}
		}
	}
	return out
}
