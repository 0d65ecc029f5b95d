package engine

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/monitor"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/prober"
)

// probable reports whether every monitor of cfg can be probed with: that its
// files can be read, say.
func (e *Engine) probable(cfg *config.Config) error {
	for i := range cfg.Monitors {
		if cfg.Monitors[i].Type == config.ConsulChecks {
			continue
		}
		if _, err := e.newProber(cfg, &cfg.Monitors[i]); err != nil {
			return fmt.Errorf("monitor %s: %w", cfg.Monitors[i].Name, err)
		}
	}
	return nil
}

func (e *Engine) newProber(cfg *config.Config, m *config.Monitor) (prober.Prober, error) {
	s := prober.Spec{
		Type: string(m.Type), Timeout: m.Timing.Timeout, Attempts: m.Timing.Attempts,
		Path: m.Path, Method: m.Method, Headers: m.Headers,
		Expect:    prober.Expect{Body: m.Expect.Body, Rcode: m.Expect.Rcode, Answer: m.Expect.Answer},
		QueryName: m.Query.Name, QueryType: m.Query.Type, Service: m.Service,
		UseTLS: m.UseTLS, CAFile: m.CAFile, Verify: m.Verify,
	}
	for _, r := range m.Expect.Status {
		s.Expect.Status = append(s.Expect.Status, prober.StatusRange(r))
	}
	targets := cfg.Targets()
	targets.Local = prober.Local
	return prober.New(s, prober.Env{Dial: e.dial, Forbidden: targets.Refuses})
}

// checkID is the stable number of a check: FNV-1a of its key.
func checkID(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}

// watch gives the monitor the checks of a plan. Those that it has keep their
// schedules.
func (e *Engine) watch(p *plan.Plan) {
	e.probers = map[*config.Monitor]prober.Prober{}
	e.byID = make(map[uint64]int32, len(p.Checks))
	e.waiting = map[int32]bool{}
	for i := range p.Checks {
		k := &p.Checks[i]
		if k.Told() || !e.hasProber(p, k) {
			continue
		}
		e.byID[checkID(k.Key)] = int32(i)
		if e.core.State(int32(i)).Last.At.IsZero() && e.core.probed(int32(i)) {
			e.waiting[int32(i)] = true
		}
	}
	e.schedule()
	e.pulse.beat()
	e.heardAll()
}

// hasProber makes the prober of a check unless it is there.
func (e *Engine) hasProber(p *plan.Plan, k *plan.Check) bool {
	if e.probers[k.Monitor] != nil {
		return true
	}
	pr, err := e.newProber(p.Config, k.Monitor)
	if err != nil {
		e.log.Error("check cannot be probed", "check", k.Key, "error", err)
		return false
	}
	e.probers[k.Monitor] = pr
	return true
}

// schedule gives the monitor those of the checks that are probed here.
func (e *Engine) schedule() {
	p, now := e.core.Plan, time.Now()
	checks := make([]monitor.Check, 0, len(p.Checks))
	for i := range p.Checks {
		k := &p.Checks[i]
		if k.Told() || e.probers[k.Monitor] == nil || !e.core.probed(int32(i)) {
			continue
		}
		checks = append(checks, monitor.Check{
			ID: checkID(k.Key), Region: regionName(p, k), Prober: e.probers[k.Monitor],
			Target:   prober.Target{Addr: k.Addr, Port: k.Port, Host: k.Host},
			Interval: k.Params.Interval, Timeout: k.Params.Timeout, Confirm: k.Params.Confirm,
			First: e.core.firstWithin(int32(i), now),
		})
	}
	e.pulse.expect(checks)
	e.monitor.Set(checks)
	e.core.watched()
}

func regionName(p *plan.Plan, k *plan.Check) string {
	if k.Region < 0 {
		return "self"
	}
	return p.Config.Regions[k.Region].Name
}

// take weighs a report and those that wait behind it.
func (e *Engine) take(r monitor.Report) {
	for range burst {
		e.weigh(r)
		select {
		case r = <-e.reports:
		default:
			return
		}
	}
}

func (e *Engine) weigh(r monitor.Report) {
	i, ok := e.byID[r.ID]
	if !ok || !e.core.probed(i) {
		return // of a check that is no more, or not here
	}
	e.pulse.came()
	next := e.core.Observe(i, r.Start, r.Result)
	k := &e.core.Plan.Checks[i]
	if next < k.Params.Interval {
		e.monitor.Hurry(r.ID, r.Start.Add(next))
	}
	e.count.probed(string(k.Monitor.Type), r.Result.At.Sub(r.Start))
	if len(e.waiting) > 0 {
		delete(e.waiting, i)
		e.heardAll()
	}
}

// heardAll opens the gate for Wait once every check was probed.
func (e *Engine) heardAll() {
	if len(e.waiting) > 0 || e.names.pending() || len(e.catalogs.first) > 0 {
		return
	}
	select {
	case <-e.first:
	default:
		close(e.first)
	}
}

// Stats returns how the scheduler is doing.
func (e *Engine) Stats() monitor.Stats { return e.monitor.Stats() }

// Started returns when the engine began.
func (e *Engine) Started() time.Time { return e.started }
