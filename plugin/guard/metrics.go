package guard

import (
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/detour-dns/detour/internal/guard"
)

// Names begin with coredns_failover_guard_: one prefix for all of the product.
const subsystem = "failover"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return promauto.NewCounterVec(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, subsystem, name), help, nil, nil)
}

var (
	answersTotal     = counter("guard_answers_total", "Answers with kept addresses, by how the name's DNS fails.", "failure")
	proofsTotal      = counter("guard_proofs_total", "Proofs of kept addresses, by what they said.", "proof")
	refusedTotal     = counter("guard_refused_total", "Answers of backends that were not believed.", "reason")
	sharedTotal      = counter("guard_shared_total", "What resolvers told one another of listed names: left for others, adopted from them, proofs heard of them.", "what")
	stateErrorsTotal = counter("guard_state_errors_total", "Failures to read or write the guard's file.")

	descNames    = gauge("guard_names", "Names of which addresses are kept.")
	descStanding = gauge("guard_standing_in", "Names that are answered with kept addresses now.")
	descFound    = gauge("guard_found_standing_in", "Those of them that a pattern found.")
	descLost     = gauge("guard_lost", "Guarded names that fail, and for which nothing stands in.")
	descAge      = gauge("guard_age_seconds_max", "Time since the last good answer of a name that stands in, the longest.")
)

func init() {
	prometheus.MustRegister(census{})
	for _, reason := range []string{"change", "private"} { // a rate needs a beginning
		refusedTotal.WithLabelValues(reason)
	}
	for _, what := range []string{"left", "adopted", "heard"} {
		sharedTotal.WithLabelValues(what)
	}
	stateErrorsTotal.WithLabelValues()
}

// census counts the names that are kept, at each scrape.
type census struct{}

// Describe implements prometheus.Collector.
func (census) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(census{}, to) }

// Collect implements prometheus.Collector.
func (census) Collect(to chan<- prometheus.Metric) {
	var c counts
	now := guard.At(time.Now())
	for _, t := range office.list() {
		for _, e := range t.all() {
			e.count(&c, now)
		}
	}
	for desc, v := range map[*prometheus.Desc]float64{
		descNames: c.names, descStanding: c.standing, descFound: c.found, descLost: c.lost, descAge: c.age,
	} {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v)
	}
}

type counts struct{ names, standing, found, lost, age float64 }

// count counts a name of which something is kept.
func (e *entry) count(c *counts, now guard.Stamp) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.known.Known() {
		return
	}
	c.names++
	switch {
	case e.standing.Load():
		c.standing++
		c.age = max(c.age, now.Sub(e.known.Good()).Seconds())
		if e.found {
			c.found++
		}
	case e.known.Failing():
		c.lost++
	}
}
