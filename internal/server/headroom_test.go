package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         2000, // nothing was collected yet
		1 << 20:   2000,
		8 << 20:   600,
		16 << 20:  300,
		48 << 20:  100,
		100 << 20: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d MB live: %d, want %d", live>>20, got, want)
		}
	}
}

// The percentage follows the heap, and what was there before comes back.
func TestHeadroomFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "") // restores it
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	runtime.GC() // of what earlier tests left
	release := giveHeadroom()
	if p := percent(); p <= 100 {
		t.Errorf("a small heap: %d", p)
	}
	large := make([]byte, 2*headroom)
	for range 100 { // what runs after a collection runs beside it
		if runtime.GC(); percent() == 100 {
			break
		}
	}
	if p := percent(); p != 100 {
		t.Errorf("a large heap: %d", p)
	}
	runtime.KeepAlive(large)
	release()
	if now := debug.SetGCPercent(100); now != 100 {
		t.Errorf("after the release: %d", now)
	}
}

func percent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
