package server

import (
	"encoding/hex"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// reloadCounts are those of stock `reload`, which dashboards know. Stock counts
// only what it applies itself; since we apply, we count.
type reloadCounts struct {
	failed prometheus.Counter
	info   *prometheus.GaugeVec
}

// reloads finds them once they are registered.
var reloads = sync.OnceValue(func() reloadCounts {
	return reloadCounts{
		failed: existing(prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "coredns", Subsystem: "reload", Name: "failed_total",
			Help: "Counter of the number of failed reload attempts.",
		})),
		info: existing(prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "coredns", Subsystem: "reload", Name: "version_info",
			Help: "A metric with a constant '1' value labeled by hash, and value which type of hash generated.",
		}, []string{"hash", "value"})),
	}
})

// existing registers a metric, or returns the one of that name.
func existing[T prometheus.Collector](c T) T {
	err := prometheus.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if known, ok := already.ExistingCollector.(T); ok {
			return known
		}
	}
	return c
}

// showVersion replaces the hash of the Corefile in use.
func showVersion(old, now hash) {
	info := reloads().info
	info.Delete(versionLabels(old))
	info.With(versionLabels(now)).Set(1)
}

func versionLabels(h hash) prometheus.Labels {
	return prometheus.Labels{"hash": "sha512", "value": hex.EncodeToString(h[:])}
}
