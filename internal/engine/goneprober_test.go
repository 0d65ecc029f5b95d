package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// writers is a file with many single writers.
func writers() string {
	return strings.ReplaceAll(wide(wideServices), "{monitors: [sql],", "{monitors: [sql], single_writer: true,")
}

// lieOf is what a thief says: all below a prefix is down.
func lieOf(h *hub, r *resolver, prefix string) share.Opinion {
	o := share.Opinion{Buckets: h.said(r.seat.name).Buckets}
	_ = r.Do(func(c *Core) {
		for i := range c.Plan.Checks {
			if strings.HasPrefix(c.Plan.Checks[i].Addr.String(), prefix) {
				o.Judged = append(o.Judged, share.Judged{ID: c.council.ids[i], Verdict: health.Down, Cause: health.CauseTimeout})
			}
		}
	})
	return o
}

// stay fails if single writers left the first region.
func stay(t *testing.T, all ...*resolver) {
	t.Helper()
	for _, r := range all {
		if n := r.uses(aws); n != wideServices {
			t.Fatalf("%s moved %d single writers of %d", r.seat.name, wideServices-n, wideServices)
		}
	}
}

// Of the three that probe a check for all, two are gone for a moment. The word of the third
// decides nothing: be it a bad path or a thief.
func TestTwoProbersGone(t *testing.T) {
	for _, thief := range []bool{false, true} {
		for _, gap := range []time.Duration{0, 5 * time.Second} {
			t.Run(fmt.Sprintf("thief-%v-apart-%v", thief, gap), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					all := gatherFleet(t, h, "regions: {aws/us-east-1: {canaries: [\"tcp://192.0.2.201:53\", \"tcp://192.0.2.202:53\"]}}\n"+writers(), fra, fra, ams, ams, lon, lon)
					for _, r := range all {
						r.askedFor()
						r.divides()
					}
					pass(90 * time.Second)
					rest := all
					if thief {
						word := lieOf(h, all[0], "192.0.2.")
						all[5].Close()
						pass(time.Second)
						h.lie(lon, "r6", word)
						rest = all[:5]
					} else {
						silence(all[5:], "192.0.2.", true)
						all[5].hush(true, "192.0.2.201", "192.0.2.202")
					}
					pass(5 * time.Minute)
					stay(t, rest...)
					all[0].Close()
					pass(gap)
					all[2].Close()
					pass(time.Second)
					for _, i := range []int{0, 2} {
						all[i].start(t, h)
						defer func() { all[i].Close() }()
					}
					pass(10 * time.Minute)
					stay(t, rest...)
				})
			})
		}
	}
}

// A thief invents observers of its zone, so that two honest resolvers divide their checks.
// One of these restarts: the thief is the only voice then, and decides nothing.
func TestAnInventedTeam(t *testing.T) {
	for _, gone := range []time.Duration{time.Second, 20 * time.Second} {
		t.Run(gone.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, writers(), fra, fra)
				for _, r := range all {
					r.askedFor()
					r.divides()
				}
				word := lieOf(h, all[0], "192.0.2.")
				for i := range 4 {
					h.lie(lon, fmt.Sprint("t", i), word)
				}
				pass(5 * time.Minute)
				stay(t, all...)
				all[0].Close()
				pass(gone)
				all[0].start(t, h)
				defer func() { all[0].Close() }()
				pass(10 * time.Minute)
				stay(t, all...)
			})
		})
	}
}

// The sites of all honest resolvers lack something for a quarter of an hour, or cannot reach
// a family ever. The only one that says anything then is one observer, maybe a thief: no
// single writer moves by its word.
func TestOneVoiceForLong(t *testing.T) {
	v6 := strings.NewReplacer("192.0.2.10", `"2001:db8:1::10"`, "198.51.100.10", `"2001:db8:2::10"`)
	for name, c := range map[string]struct {
		yaml, lie string
		lost      func(to netip.AddrPort, since time.Duration) error
	}{
		"no descriptors": {singleWriter("DIR"), "192.0.2.10", func(_ netip.AddrPort, since time.Duration) error {
			if since < 15*time.Minute {
				return syscall.EMFILE
			}
			return nil
		}},
		"no IPv6": {v6.Replace(singleWriter("DIR")), "2001:db8:1:", func(to netip.AddrPort, _ time.Duration) error {
			if to.Addr().Is6() {
				return syscall.EAFNOSUPPORT
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, c.yaml, fra, ams, ams, lon)
				pass(time.Minute)
				word := lieOf(h, all[0], c.lie)
				began := time.Now()
				for _, r := range all[:3] {
					r.log = nil
					r.lacks(t, func(to netip.AddrPort) error { return c.lost(to, time.Since(began)) })
				}
				all[3].Close()
				pass(time.Second)
				h.lie(lon, "r4", word)
				pass(time.Hour)
				for _, r := range all[:3] {
					if r.used() != aws {
						t.Fatalf("one voice moved a single writer: %s", inUse(all[:3]...))
					}
				}
			})
		})
	}
}
