package failover

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/steer"
)

// cell counts the answers of one pool of one service, by reason. It fills a
// cache line, so that two pools never share one.
type cell struct {
	n [steer.NumReasons]atomic.Uint64
	_ [64 - 8*(steer.NumReasons%8)]byte
}

// counts is the cells of one plan. A pool that a later plan still has keeps its
// cell: counters never go back.
type counts struct {
	plan  *plan.Plan
	first []int32 // by service: its cells; one for each pool, and one for none
	cells []*cell
}

func newCounts(p *plan.Plan, old *counts) *counts {
	known := map[[2]string]*cell{}
	if old != nil {
		old.each(func(service, region string, c *cell) { known[[2]string{service, region}] = c })
	}
	c := &counts{plan: p}
	for i := range p.Steer.Services {
		c.first = append(c.first, int32(len(c.cells)))
		c.cells = append(c.cells, make([]*cell, len(p.Steer.Services[i].Pools)+1)...)
	}
	fresh := make([]cell, len(c.cells))
	n := 0
	c.each(func(service, region string, _ *cell) {
		if was := known[[2]string{service, region}]; was != nil {
			c.cells[n] = was
		} else {
			c.cells[n] = &fresh[n]
			known[[2]string{service, region}] = c.cells[n]
		}
		n++
	})
	return c
}

// each calls f for every cell, in order. Region is "none" for answers that came
// from no single pool.
func (c *counts) each(f func(service, region string, c *cell)) {
	for i, first := range c.first {
		s := &c.plan.Steer.Services[i]
		name := strings.TrimSuffix(s.Name, ".")
		for p := range s.Pools {
			f(name, c.plan.Steer.Regions[s.Pools[p].Region].Name, c.cells[int(first)+p])
		}
		f(name, "none", c.cells[int(first)+len(s.Pools)])
	}
}

// count counts one answer.
func (s *shared) count(pub *engine.Published, i int32, d *steer.Decision) {
	c := s.counts.Load()
	if c == nil || c.plan != pub.Plan {
		c = s.recount(pub)
	}
	at := c.first[i]
	if d.Pool >= 0 {
		at += int32(d.Pool)
	} else {
		at += int32(len(pub.Plan.Steer.Services[i].Pools))
	}
	c.cells[at].n[d.Reason].Add(1)
}

// recount makes the cells of a new plan, once.
func (s *shared) recount(pub *engine.Published) *counts {
	recounting.Lock()
	defer recounting.Unlock()
	c := s.counts.Load()
	if c == nil || c.plan != pub.Plan {
		c = newCounts(pub.Plan, c)
		s.counts.Store(c)
	}
	return c
}

var recounting sync.Mutex

// collector reads the counters and the snapshot when Prometheus asks.
type collector struct{}

func init() { prometheus.MustRegister(collector{}) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, pluginName, name), help, labels, nil)
}

var (
	descAnswers = desc("answers_total", "Answers by service, region they came from, and reason.", "service", "region", "reason")
	descPanic   = desc("service_panic", "1 while a service is answered as a last resort.", "service")
	descBackups = desc("service_backups", "Other regions that could take over a service now.", "service")
	descRegion  = desc("region_down", "1 while a region is judged down.", "region")
	descRatio   = desc("region_evidence_ratio", "Share of the services that could be evidence against a region and are.", "region")
	descChecks  = desc("checks", "Checks by verdict.", "verdict")
	descBrake   = desc("brake", "1 while we doubt ourselves.")
	descReload  = desc("config_last_reload_success", "1 if the last change of failover.yaml was taken.")
	descLost    = desc("state_write_errors_total", "Writes of the state file that failed.")
	descOverdue = desc("probes_overdue", "Checks that are late by an interval or more.")
)

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descAnswers, descPanic, descBackups, descRegion, descRatio,
		descChecks, descBrake, descReload, descLost, descOverdue,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	engines.mu.Lock()
	defer engines.mu.Unlock()
	all := scrape{}
	for _, s := range engines.shared {
		if e := s.engine(); e != nil {
			s.collectAnswers(all)
			collectSnapshot(all, e.Load())
			collectEngine(all, e)
		}
	}
	all.send(ch)
}

// sample is a metric with its labels' values, as many of them as it has.
type sample struct {
	desc   *prometheus.Desc
	labels [3]string
	n      int
}

// scrape gathers the samples of all files: one that came twice would make
// Prometheus refuse every metric of the process.
type scrape map[sample]float64

// merge adds a sample; of several with the same labels what says of them.
func (s scrape) merge(what func(x, y float64) float64, d *prometheus.Desc, v float64, labels ...string) {
	k := sample{desc: d, n: len(labels)}
	copy(k.labels[:], labels)
	if was, ok := s[k]; ok {
		v = what(was, v)
	}
	s[k] = v
}

func sum(x, y float64) float64 { return x + y }

func (s scrape) send(ch chan<- prometheus.Metric) {
	for k, v := range s {
		kind := prometheus.GaugeValue
		if k.desc == descAnswers || k.desc == descLost {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(k.desc, kind, v, k.labels[:k.n]...)
	}
}

func (s *shared) collectAnswers(all scrape) {
	c := s.counts.Load()
	if c == nil {
		return
	}
	counted := map[*cell]bool{}
	c.each(func(service, region string, c *cell) {
		if counted[c] { // two pools of one service in one region share a cell
			return
		}
		counted[c] = true
		if len(s.load().Plan.Steer.Services) > s.load().Plan.Config.Metrics.Services {
			service = "all"
		}
		for r := range c.n {
			if n := c.n[r].Load(); n > 0 {
				all.merge(sum, descAnswers, float64(n), service, region, steer.Reason(r).String())
			}
		}
	})
}

func collectSnapshot(all scrape, pub *engine.Published) {
	if len(pub.Plan.Steer.Services) <= pub.Plan.Config.Metrics.Services {
		for i := range pub.Plan.Steer.Services {
			st, name := pub.State(int32(i)), strings.TrimSuffix(pub.Plan.Steer.Services[i].Name, ".")
			all.merge(math.Max, descPanic, flag(st.Reason == steer.ReasonPanic), name)
			all.merge(math.Min, descBackups, float64(st.Backups), name)
		}
	}
	for r := range pub.Regions {
		name, st := pub.Snapshot.Plan.Regions[r].Name, &pub.Regions[r]
		all.merge(math.Max, descRegion, flag(st.Down), name)
		ratio := 0.0
		if st.Could > 0 {
			ratio = float64(st.Evidence) / float64(st.Could)
		}
		all.merge(math.Max, descRatio, ratio, name)
	}
}

func collectEngine(all scrape, e *engine.Engine) {
	now := e.Summary()
	for v, n := range now.Verdicts {
		all.merge(sum, descChecks, float64(n), v)
	}
	all.merge(math.Max, descBrake, flag(now.Brake.On))
	all.merge(math.Min, descReload, flag(now.Reload.OK))
	all.merge(sum, descOverdue, float64(e.Stats().Overdue))
	all.merge(sum, descLost, float64(now.StateErrors))
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
