package engine

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// cannotSee makes a resolver unable to check the first region, for ever.
func (r *resolver) cannotSee(t *testing.T) {
	t.Helper()
	r.lacks(t, func(to netip.AddrPort) error {
		if to.Addr().String() == "192.0.2.10" {
			return syscall.EAFNOSUPPORT
		}
		return nil
	})
}

// leftUnseen is a fleet of which the first resolver can never check the first region, and
// left it because the others say that it is down.
func leftUnseen(t *testing.T, h *hub, yaml string, zones ...string) []*resolver {
	t.Helper()
	all := gatherFleet(t, h, yaml, zones...)
	all[0].cannotSee(t)
	pass(15 * time.Minute)
	for _, r := range all {
		r.set("192.0.2.10", true)
	}
	pass(15 * time.Minute)
	if all[0].used() != gcp {
		t.Fatal("it is not left: ", inUse(all...))
	}
	return all
}

// A resolver that can never check a region left it because the others said that it is down. It
// does not go back because they say nothing any more: they are gone, they are edited in a
// roll-out, the store dies, or the only other one starts anew.
func TestSilenceEndsNoDown(t *testing.T) {
	for name, c := range map[string]struct {
		zones []string
		hush  func(t *testing.T, h *hub, all []*resolver)
	}{
		"both are gone": {[]string{lon, fra, ams}, func(_ *testing.T, _ *hub, all []*resolver) {
			for _, r := range all[1:] {
				r.Close()
			}
		}},
		"a roll-out": {[]string{lon, fra, ams}, func(t *testing.T, _ *hub, all []*resolver) {
			for _, r := range all[1:] {
				if err := r.Apply(parse(t, edited(r.yaml))); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"the store dies": {[]string{lon, fra, ams}, func(_ *testing.T, _ *hub, all []*resolver) {
			for _, r := range all[1:] {
				r.cutOff()
			}
		}},
		"the only other one restarts": {[]string{lon, fra}, func(t *testing.T, h *hub, all []*resolver) {
			all[1].Close()
			remain(t, 20*time.Second, gcp, all[0])
			all[1].start(t, h)
			t.Cleanup(all[1].Close)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := leftUnseen(t, h, shop("DIR"), c.zones...)
				c.hush(t, h, all)
				remain(t, 25*time.Minute, gcp, all[0])
			})
		})
	}
}

// A resolver that noticed a failure last, and is off for some minutes after all is well
// again, comes back to the region that the others use; so does one whose pool has another
// endpoint then.
func TestARebootMovesNobody(t *testing.T) {
	for mode, yaml := range map[string]string{"writer": oneWriter(), "shop": shop("DIR")} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, yaml, fra, ams, lon)
				pass(time.Minute)
				set := func(silent bool, which ...*resolver) {
					for _, r := range which {
						r.set("192.0.2.10", silent)
					}
				}
				set(true, all[:2]...)
				pass(5 * time.Second)
				set(true, all[2])
				pass(time.Minute)
				set(false, all...)
				for i := 0; i < 40 && strings.Contains(inUse(all...), gcp); i++ {
					pass(30 * time.Second)
				}
				remain(t, 2*time.Minute, aws, all...)
				all[2].Close()
				pass(3 * time.Minute)
				all[2].start(t, h)
				defer func() { all[2].Close() }()
				remain(t, 5*time.Minute, aws, all...)
			})
		})
		t.Run(mode+" with another endpoint", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				r := gatherFleet(t, h, yaml, fra)[0]
				pass(time.Minute)
				cameBack(t, r)
				pass(2 * time.Minute)
				r.Close()
				pass(3 * time.Minute)
				r.yaml = strings.Replace(r.yaml, "[192.0.2.10]", "[192.0.2.99, 192.0.2.10]", 1)
				r.set("192.0.2.99", true)
				r.start(t, h)
				defer r.Close()
				remain(t, 5*time.Minute, aws, r)
			})
		})
	}
}

// A resolver that can never check a region left it by what others say, and restarts: it has
// forgotten that, and does not go back while what it uses is well.
func TestARestartEntersNothingUnknown(t *testing.T) {
	for mode, yaml := range map[string]string{"writer": oneWriter(), "shop": shop("DIR")} {
		for _, c := range []struct {
			zones []string
			gone  bool // the others, while it restarts
		}{{[]string{lon, fra, ams}, true}, {[]string{lon, fra}, false}} {
			if len(c.zones) == 2 && mode == "writer" {
				continue // which does not leave by one word
			}
			t.Run(mode+" "+strings.Join(c.zones, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := leftUnseen(t, newHub(), yaml, c.zones...)
					if c.gone {
						for _, r := range all[1:] {
							r.Close()
						}
					}
					all[0].Close()
					pass(10 * time.Second)
					all[0].cannotSee(t)
					remain(t, 25*time.Minute, gcp, all[0])
				})
			})
		}
	}
}
