package consul

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// TestSoakCrowd measures what many observers cost a server in a region's failure,
// when each says 500 verdicts anew once a second: DETOUR_CROWD of them; unless said
// five, or 50 with DETOUR_SOAK, which takes a minute of all cores.
func TestSoakCrowd(t *testing.T) {
	crowd := 5
	if os.Getenv("DETOUR_SOAK") != "" {
		crowd = 50
	}
	if n, err := strconv.Atoi(os.Getenv("DETOUR_CROWD")); err == nil {
		crowd = n
	}
	const rounds = 10
	server := kit.Consul(t, kit.ConsulOptions{})
	var all []*Share
	var mu sync.Mutex
	told := map[string]time.Time{} // when each opinion was taken
	var late []time.Duration
	var readers sync.WaitGroup
	reads := make([]int, crowd)
	for i := range crowd {
		s := observe(t, fmt.Sprint("o", i), nil, server)
		s.wait = waitTime
		all = append(all, s)
		readers.Go(func() {
			seen := map[string]bool{}
			for {
				r, err := s.Theirs(t.Context())
				if err != nil {
					return
				}
				mu.Lock()
				reads[i]++
				for _, o := range r.Others {
					if key := o.Observer + o.Decision; !seen[key] {
						seen[key] = true
						late = append(late, time.Since(told[key]))
					}
				}
				mu.Unlock()
			}
		})
	}
	spent := func() (bytes int64, writes int) {
		for _, s := range all {
			bytes, writes = bytes+s.stores[0].bytes.Load(), writes+int(s.stores[0].writes.Load())
		}
		return bytes, writes
	}
	say := func(round int) {
		var writers sync.WaitGroup
		for i, s := range all {
			writers.Go(func() {
				o := opinion(500)
				o.Observer, o.Zone, o.Boot, o.Decision = s.o.Observer, s.o.Zone, "BOOT", fmt.Sprint("-", round)
				o.Judged[0] = share.Judged{ID: uint64(i), Verdict: health.Unknown}
				mu.Lock()
				told[o.Observer+o.Decision] = time.Now()
				mu.Unlock()
				if err := s.Publish(t.Context(), o); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
	}
	say(0)
	rest := time.NewTimer(3 * time.Second)
	<-rest.C
	mu.Lock()
	late = late[:0]
	clear(reads)
	mu.Unlock()
	bytes, writes := spent()
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for round := 1; round <= rounds; round++ {
		say(round)
		<-tick.C
	}
	rest.Reset(2 * time.Second)
	<-rest.C
	took := time.Since(began).Seconds()
	bytesNow, writesNow := spent()
	mu.Lock()
	slices.Sort(late)
	t.Logf("%d observers: %.1f MB/s in all, %.1f kB/s each, %.2f writes/s and %.1f returns/s each; heard after %s (median), %s (p99), %d of %d",
		crowd, float64(bytesNow-bytes)/took/1e6, float64(bytesNow-bytes)/took/1e3/float64(crowd),
		float64(writesNow-writes)/took/float64(crowd), float64(reads[0])/took,
		late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond), len(late), rounds*crowd*(crowd-1))
	mu.Unlock()
	bytes, writes = spent()
	rest.Reset(12 * time.Second)
	<-rest.C
	bytesNow, writesNow = spent()
	t.Logf("at rest: %.1f kB/s each, %d writes", float64(bytesNow-bytes)/12/1e3/float64(crowd), writesNow-writes)
	for _, s := range all {
		_ = s.Close(t.Context())
	}
	readers.Wait()
}
