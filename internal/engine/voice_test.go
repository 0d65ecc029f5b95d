package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/monitor"
)

// TestVoice: who hangs is not alive, and who hung for so long that its voice may be
// gone is not alive at once when it goes on.
func TestVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v voice
		check := func(what string, want bool) {
			t.Helper()
			if got := v.alive(); got != want {
				t.Errorf("%s: alive %v, want %v", what, got, want)
			}
		}
		beats := func(d time.Duration) {
			for range d / time.Second {
				pass(time.Second)
				v.came()
			}
		}
		v.expect(nil)
		pass(time.Hour)
		check("with nothing to probe", true)
		v.expect([]monitor.Check{{Interval: time.Second, Timeout: time.Second}})
		check("and then something", true)
		beats(time.Minute)
		pass(4 * time.Second)
		check("no result for two intervals", false)
		v.came()
		check("a short hang is over", true)
		pass(10 * time.Second)
		v.came()
		check("a long hang is over", false)
		beats(findsOut - time.Second)
		check("it does not know yet what went down", false)
		beats(time.Second)
		check("it knows", true)
	})
}
