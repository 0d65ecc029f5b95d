package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// Simulation is the reply to GET /v1/simulate: what would be if regions failed.
type Simulation struct {
	Down      []string `json:"down"`
	Services  int      `json:"services"`        // that there are
	Affected  int      `json:"affected"`        // that answer from there now, or have a backup there
	Moves     []Move   `json:"moves"`           // services that would answer from elsewhere
	To        []Count  `json:"to"`              // where the moves go, most first
	Without   []string `json:"without"`         // services that would have nothing healthy
	NoBackup  []string `json:"no_backup"`       // services that would lose their last backup
	Frozen    []string `json:"frozen"`          // services that a freeze would keep where they are
	Observed  []string `json:"observed"`        // services that are only observed, and so would not move
	Brake     bool     `json:"brake,omitempty"` // it would first look like a fault of the resolver's own
	BrakeSecs float64  `json:"brake_seconds,omitempty"`
}

// OK reports whether every service would have an answer that is healthy.
func (s *Simulation) OK() bool { return len(s.Without)+len(s.Frozen)+len(s.Observed) == 0 }

func (s *Server) getSimulate(r *http.Request) (any, error) {
	cfg := s.eng.Load().Plan.Config
	regions, err := regionsToFail(cfg, r.URL.Query().Get("down"))
	if err != nil {
		return nil, err
	}
	now, then, brake, err := s.eng.Simulate(regions)
	if err != nil {
		return nil, gone(err)
	}
	return simulation(regions, now, then, brake), nil
}

// SimulateIn simulates the failure of regions for a configuration that nothing
// runs, as if all were healthy before. down is a list with commas.
func SimulateIn(cfg *config.Config, down string) (*Simulation, error) {
	regions, err := regionsToFail(cfg, down)
	if err != nil {
		return nil, err
	}
	now, then, brake := engine.SimulateIn(cfg, regions, time.Now())
	return simulation(regions, now, then, brake), nil
}

func regionsToFail(cfg *config.Config, list string) (out []string, err error) {
	for _, name := range strings.Split(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			return nil, problem(http.StatusBadRequest, "say which regions fail: down=aws/us-east-1, or several with commas")
		}
		if _, ok := cfg.Region(name); !ok {
			known := make([]string, len(cfg.Regions))
			for i := range cfg.Regions {
				known[i] = cfg.Regions[i].Name
			}
			return nil, unknown("region", name, known)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

func simulation(down []string, now, then *engine.Published, brake bool) *Simulation {
	out := &Simulation{
		Down: down, Services: len(then.Plan.Steer.Services), Brake: brake,
		Moves: []Move{}, Without: []string{}, NoBackup: []string{}, Frozen: []string{}, Observed: []string{},
	}
	if brake {
		out.BrakeSecs = then.Plan.Config.Limits.Brake.Seconds()
	}
	a, b := &page{pub: now}, &page{pub: then}
	to := map[string]int{}
	for i := range then.Plan.Steer.Services {
		i := int32(i)
		if !slices.ContainsFunc(then.Plan.Steer.Services[i].Pools, func(p steer.Pool) bool {
			return slices.Contains(down, then.Plan.Steer.Regions[p.Region].Name)
		}) {
			continue
		}
		out.Affected++
		out.add(i, a, b, to)
	}
	out.To = counts(to)
	return out
}

// add says what becomes of one service that has a pool where it fails.
func (s *Simulation) add(i int32, a, b *page, to map[string]int) {
	name := people(b.plan().Services[i].Name)
	was, is := a.pub.State(i), b.pub.State(i)
	switch {
	case is.Panic && !is.Stuck:
		s.Without = append(s.Without, name)
	case is.Pending:
		s.Frozen = append(s.Frozen, name)
	case b.plan().Services[i].Observe && b.strayed(i, is.Would):
		s.Observed = append(s.Observed, name)
	}
	if was.From != is.From {
		m := Move{name, a.regionsOf(i, was.From), b.regionsOf(i, is.From)}
		s.Moves = append(s.Moves, m)
		for _, r := range m.To {
			to[r]++
		}
	}
	if a.spare(i) && !b.spare(i) {
		s.NoBackup = append(s.NoBackup, name)
	}
}
