package server

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentFor(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		live, roots, rate uint64
		want              int
	}{
		{0, 0, 0, 200},                  // nothing was collected yet: 8 MB
		{0, 0, 60 * mb, 200},            // and no more
		{1 * mb, 2 * mb, 0, 200},        // 8 MB at least
		{16 * mb, 0, 2 * mb, 62},        // 10 MB: five seconds
		{16 * mb, 4 * mb, 100 * mb, 80}, // 16 MB at most
		{60 * mb, 0, 2 * mb, 25},        // a quarter of it at least
		{60 * mb, 0, 6 * mb, 50},        // 30 MB: five seconds
		{60 * mb, 0, 100 * mb, 100},     // as much as is alive
		{56 * mb, 8 * mb, 100 * mb, 87},
		{600 * mb, 0, 2 * mb, 25},
		{600 * mb, 0, 200 * mb, 100}, // and at most all of it
	} {
		if got := percentFor(c.live, c.roots, c.rate); got != c.want {
			t.Errorf("%d MB live, %d MB of roots, %d MB/s: %d, want %d", c.live/mb, c.roots/mb, c.rate/mb, got, c.want)
		}
	}
}

var sink []byte

// TestHeadroomFollowsTheRate: under load collections are rare, at rest garbage is not
// kept for long, and what was there before comes back.
func TestHeadroomFollowsTheRate(t *testing.T) {
	t.Setenv("GOGC", "") // restores it
	if err := os.Unsetenv("GOGC"); err != nil {
		t.Fatal(err)
	}
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	alive := make([]byte, 40<<20)
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		release := giveHeadroom()
		for range 20 {
			<-time.After(lookEvery)
			synctest.Wait()
		}
		rest := percent()
		if rest > 50 {
			t.Errorf("at rest: %d", rest)
		}
		for range 5 {
			for range 40 {
				sink = make([]byte, 1<<20)
			}
			<-time.After(lookEvery)
			synctest.Wait()
		}
		if p := percent(); p < 90 {
			t.Errorf("at 40 MB a second: %d, at rest %d", p, rest)
		}
		release()
	})
	runtime.KeepAlive(alive)
	if now := percent(); now != 77 {
		t.Errorf("after the release: %d", now)
	}
}

// TestWhoSetsGOGCKeepsIt: nothing is changed then.
func TestWhoSetsGOGCKeepsIt(t *testing.T) {
	t.Setenv("GOGC", "100")
	before := percent()
	release := giveHeadroom()
	defer release()
	if percent() != before {
		t.Error("it is another")
	}
}

func percent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
