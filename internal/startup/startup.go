// Package startup puts off what only a process that serves needs, so that `status`
// and `explain` answer at once.
//
// Two things cost a third of the start of this command, before its first line runs.
// The plugins register more than sixty metrics, each by a goroutine that Prometheus
// starts and waits for; while packages initialize, the main goroutine is bound to
// its thread, and each wait is two switches of threads. And what the packages
// allocate crosses the 4 MB at which the runtime collects for the first time.
//
// The package works by being initialized early: of the packages whose imports are
// initialized, Go takes the first by import path (The Go Programming Language
// Specification, Program initialization). This one imports little, so it is ready
// before the plugins are; a test counts what it caught.
package startup

import (
	"os"
	"runtime/debug"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// collectLater is GOGC until Finish: the first collection is due at eight times the
// runtime's 4 MB. A command that never serves keeps it.
const collectLater = 800

var (
	later     = putOff()
	finish    = sync.OnceFunc(func() { later.finish(); restoreGC() })
	restoreGC = delayGC()
)

// Finish makes the process what one that serves must be: all metrics are
// registered, the default registerer is Prometheus's own again, and the heap is
// collected as ever. It panics like prometheus.MustRegister if two metrics that
// had to be registered collide. More calls do nothing.
func Finish() { finish() }

// Waiting returns how many metrics wait for Finish.
func Waiting() int { return later.waiting() }

func delayGC() (restore func()) {
	if _, set := os.LookupEnv("GOGC"); set {
		return func() {}
	}
	before := debug.SetGCPercent(collectLater)
	return func() { debug.SetGCPercent(before) }
}

func putOff() *registerer {
	r := &registerer{real: prometheus.DefaultRegisterer}
	prometheus.DefaultRegisterer = r
	return r
}
