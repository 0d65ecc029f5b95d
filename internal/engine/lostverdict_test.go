package engine

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// cameBack makes the first region fail and come back, so that it has an ejection behind it.
func cameBack(t *testing.T, all ...*resolver) {
	t.Helper()
	failOver(t, all...)
	for range 40 {
		if pass(30 * time.Second); strings.Count(inUse(all...), aws) == len(all) {
			return
		}
	}
	t.Fatal("never back: ", inUse(all...))
}

// A region that failed before and is in use again is not left because a resolver, alone or
// one of three, lacks the means to probe for a minute, nor when it has them again.
func TestALostVerdictMovesNobody(t *testing.T) {
	for _, zones := range [][]string{{fra}, {fra, ams, lon}} {
		for mode, yaml := range map[string]string{"writer": oneWriter(), "shop": shop("DIR")} {
			t.Run(mode+" "+strings.Join(zones, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := gatherFleet(t, newHub(), yaml, zones...)
					var lost atomic.Bool
					for _, r := range all {
						r.lacks(t, func(netip.AddrPort) error {
							if lost.Load() {
								return syscall.EMFILE
							}
							return nil
						})
					}
					pass(time.Minute)
					cameBack(t, all...)
					for _, is := range []bool{true, false} {
						lost.Store(is)
						remain(t, 2*time.Minute, aws, all...)
					}
				})
			})
		}
	}
}

// The word of the only one that speaks moves no single writer when it ends either.
func TestAWordThatEndsMovesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, oneWriter(), fra, ams, ams, lon)
		pass(time.Minute)
		cameBack(t, all...)
		lie, truth := lieOf(h, all[0], "192.0.2.10"), share.Opinion{Buckets: h.said("r1").Buckets}
		for _, r := range all[:3] {
			r.log = nil
			r.lacks(t, func(netip.AddrPort) error { return syscall.EMFILE })
		}
		all[3].Close()
		pass(time.Second)
		h.lie(lon, "r4", truth)
		pass(11 * time.Minute)
		h.lie(lon, "r4", lie)
		remain(t, 20*time.Second, aws, all[:3]...)
		h.lie(lon, "r4", truth)
		remain(t, time.Minute, aws, all[:3]...)
	})
}

// A resolver that can check nothing leaves a region that two zones say is down. One that is
// left of them says for long that it is up again: it is no worse then than another one that
// this one says is down.
func TestALastingWordIsADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), lon, fra, ams)
		all[0].lacks(t, func(netip.AddrPort) error { return syscall.EAFNOSUPPORT })
		pass(15 * time.Minute)
		for _, r := range all[1:] {
			r.set("192.0.2.10", true)
		}
		pass(2 * time.Minute)
		if all[0].used() != gcp {
			t.Fatal("two zones say that it is down: ", inUse(all...))
		}
		all[1].Close()
		all[2].set("192.0.2.10", false)
		remain(t, time.Hour, gcp, all[0])
		all[2].set("198.51.100.10", true)
		if pass(time.Minute); all[0].used() != aws {
			t.Errorf("it stays in a region that the only one who speaks says is down: %s", inUse(all[0], all[2]))
		}
	})
}

// Checks that are divided move when a region dies although a quorum of three is asked for and
// the resolvers of one zone cannot check them, or one of them lies.
func TestAQuorumOfDividedChecks(t *testing.T) {
	for _, thief := range []bool{false, true} {
		t.Run(map[bool]string{true: "thief", false: "honest"}[thief], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, writers(), fra, fra, fra, ams, ams, ams, lon, lon)
				if !thief {
					for _, r := range all[6:] {
						r.lacks(t, func(netip.AddrPort) error { return syscall.EAFNOSUPPORT })
					}
				}
				for _, r := range all {
					_ = r.Do(func(c *Core) { c.council.quorum = 3 })
					r.askedFor()
					r.divides()
				}
				pass(15 * time.Minute)
				if thief {
					word := share.Opinion{Buckets: h.said("r1").Buckets} // all is up
					all[7].Close()
					pass(time.Second)
					h.lie(lon, "r8", word)
					all = all[:7]
					pass(2 * time.Minute)
				}
				silence(all, "192.0.2.", true)
				pass(5 * time.Minute)
				for _, r := range all {
					if n := r.uses(aws); n > 0 {
						t.Errorf("%s still has %d single writers of %d in the dead region", r.seat.name, n, wideServices)
					}
				}
			})
		})
	}
}
