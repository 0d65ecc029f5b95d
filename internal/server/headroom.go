package server

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// How much may be allocated between two collections. By default that is as much as
// the last one left, with stacks and globals: a heap of 60 MB that only probes, 2 MB
// a second, keeps as much garbage for half a minute. What a collection costs follows
// what is alive, so that a fixed time between two of them bounds its share of the
// processor. More than the default saves a small heap nothing: garbage that is used
// again while it is in the processor's caches is cheaper than fewer collections.
const (
	pace         = 5       // seconds between two collections, if as much as is alive suffices for it
	leastRoom    = 8 << 20 // bytes; and a quarter of what is alive
	leastLive    = 4 << 20 // bytes: the runtime's own least heap, and what is alive before the first collection
	lookEvery    = time.Second
	onePartInTen = 10 // of a value is no other one: each change stops the world for a moment
)

// giveHeadroom has the garbage collector keep its pace, until the returned function
// is called. Who sets GOGC keeps it.
func giveHeadroom() (release func()) {
	if _, set := os.LookupEnv("GOGC"); set {
		return func() {}
	}
	h := headroom{allocated: heapNow().allocated}
	h.look()
	before := debug.SetGCPercent(h.percent)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if h.look() {
					debug.SetGCPercent(h.percent)
				}
			case <-stop:
				return
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
		debug.SetGCPercent(before)
	}
}

// headroom follows how fast is allocated.
type headroom struct {
	allocated uint64 // bytes, since the process began
	rate      uint64 // bytes a second; of a burst half is left a second later
	percent   int    // as GOGC
}

// look looks again, a second after the last time, and reports whether the percentage
// is another.
func (h *headroom) look() bool {
	now := heapNow()
	h.rate = max(now.allocated-h.allocated, h.rate/2)
	h.allocated = now.allocated
	p := percentFor(now.live, now.roots, h.rate)
	if d := p - h.percent; d >= -h.percent/onePartInTen && d <= h.percent/onePartInTen {
		return false
	}
	h.percent = p
	return true
}

// percentFor is the value of GOGC for a live heap and for roots, in bytes, and a rate
// of allocation, in bytes a second. The percentage is one of heap and roots: so the
// runtime counts it (runtime/debug.SetGCPercent, "A Guide to the Go Garbage Collector").
func percentFor(live, roots, rate uint64) int {
	room := max(leastRoom, live/4, min(pace*rate, live))
	return int(100 * room / max(live+roots, leastLive)) // #nosec G115 -- at most 200
}

type heap struct{ live, roots, allocated uint64 }

// heapNow reads what the last collection left, stacks and globals, and all that was
// ever allocated.
func heapNow() heap {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return heap{s[0].Value.Uint64(), s[1].Value.Uint64() + s[2].Value.Uint64(), s[3].Value.Uint64()}
}
