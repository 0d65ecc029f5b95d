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

func gauge(name, help string, value func() float64) {
	promauto.NewGaugeFunc(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: subsystem, Name: name, Help: help}, value)
}

var (
	answersTotal     = counter("guard_answers_total", "Answers with kept addresses, by how the name's DNS fails.", "failure")
	proofsTotal      = counter("guard_proofs_total", "Proofs of kept addresses, by what they said.", "proof")
	refusedTotal     = counter("guard_refused_total", "Answers of backends that were not believed: change, private.", "reason")
	stateErrorsTotal = promauto.NewCounter(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: subsystem, Name: "guard_state_errors_total",
		Help: "Failures to read or write the guard's file.",
	})
)

func init() {
	gauge("guard_names", "Names of which addresses are kept.", func() float64 { n, _, _ := census(); return n })
	gauge("guard_standing_in", "Names that are answered with kept addresses now.", func() float64 { _, n, _ := census(); return n })
	gauge("guard_age_seconds_max", "Time since the last good answer of a name that stands in, the longest.", func() float64 { _, _, a := census(); return a })
}

// census counts the names that are kept and that stand in, and returns the longest
// time since the last good answer of one that does, in seconds.
func census() (kept, standing, age float64) {
	now := guard.At(time.Now())
	for _, t := range office.list() {
		for _, e := range t.all() {
			e.mu.Lock()
			if e.known.Known() {
				kept++
			}
			if e.standing.Load() {
				standing++
				age = max(age, now.Sub(max(e.known.V4.Good, e.known.V6.Good)).Seconds())
			}
			e.mu.Unlock()
		}
	}
	return kept, standing, age
}
