package server

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// failedReloads is the counter of stock `reload`, which dashboards know. Stock
// counts only what it applies itself, so the counting is ours.
var failedReloads = existing(prometheus.NewCounter(prometheus.CounterOpts{
	Namespace: "coredns", Subsystem: "reload", Name: "failed_total",
	Help: "Counter of the number of failed reload attempts.",
}))

// existing registers a counter, or returns the one of that name.
func existing(c prometheus.Counter) prometheus.Counter {
	err := prometheus.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if known, ok := already.ExistingCollector.(prometheus.Counter); ok {
			return known
		}
	}
	return c
}

func countReload(ok bool) {
	if !ok {
		failedReloads.Inc()
	}
}
