package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// headroom is how much may be allocated between two collections, at least.
const headroom = 48 << 20

// giveHeadroom makes collections rare while the heap is small, until the returned
// function is called. By default a heap of 10 MB is collected each time that it
// grew by 10 MB, at 20,000 queries a second several times a second. A heap that is
// larger than the headroom grows by its own size, as ever. Who sets GOGC keeps it.
func giveHeadroom() (release func()) {
	if _, set := os.LookupEnv("GOGC"); set {
		return func() {}
	}
	percent := percentFor(liveHeap())
	before := debug.SetGCPercent(percent)
	stop := make(chan struct{})
	var collected func()
	collected = func() {
		select {
		case <-stop:
			return
		default:
		}
		if p := percentFor(liveHeap()); p != percent {
			percent = p
			debug.SetGCPercent(p)
		}
		runtime.AddCleanup(new([64]byte), func(struct{}) { collected() }, struct{}{}) // after the next collection
	}
	collected()
	return func() {
		close(stop)
		debug.SetGCPercent(before)
	}
}

// percentFor is the value of GOGC that lets a live heap grow by the headroom, or
// by its own size if that is more.
func percentFor(live uint64) int {
	const most = 2000
	return int(min(most, max(100, 100*headroom/max(live, 1))))
}

// liveHeap is what the last collection left, in bytes.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
