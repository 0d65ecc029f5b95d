package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// modes are the kinds of service that a lie may move.
func modes() map[string]string {
	return map[string]string{"writer that goes back": oneWriter(), "writer": singleWriter("DIR"), "shop": shop("DIR")}
}

// member starts a resolver, with checks of itself.
func member(t *testing.T, h *hub, name, zone, yaml string) *resolver {
	r := &resolver{world: &world{}, seat: &seat{h: h, name: name}}
	r.yaml = "self: {name: " + name + ", zone: " + zone + ", checks: [\"tcp://192.0.2.53:53\", \"tcp://192.0.2.54:53\"]}\n" + strings.ReplaceAll(yaml, "DIR", t.TempDir())
	r.start(t, h)
	t.Cleanup(func() { r.Close() })
	return r
}

// downBut is the opinion that all is down but some addresses.
func (r *resolver) downBut(h *hub, up ...string) share.Opinion {
	o := share.Opinion{Buckets: h.said("r1").Buckets}
	_ = r.Do(func(c *Core) {
		for i := range c.Plan.Checks {
			ip := c.Plan.Checks[i].Addr.String()
			if !strings.Contains(strings.Join(up, " ")+" ", ip+" ") {
				o.Judged = append(o.Judged, share.Judged{ID: c.council.ids[i], Verdict: health.Down, Cause: health.CauseTimeout})
			}
		}
	})
	return o
}

// remain fails the test if a resolver leaves a region while time passes.
func remain(t *testing.T, d time.Duration, region string, all ...*resolver) {
	t.Helper()
	for range d / time.Second {
		pass(time.Second)
		for _, r := range all {
			if r.used() != region {
				t.Fatalf("moved to %s", inUse(all...))
			}
		}
	}
}

// stolen gives the last of some resolvers to a thief, who says something.
func stolen(h *hub, all []*resolver, zone string, o share.Opinion) {
	all[len(all)-1].Close()
	pass(time.Minute)
	h.lie(zone, fmt.Sprint("r", len(all)), o)
	pass(2 * time.Minute)
}

// lacks starts a resolver anew on a machine that cannot send some of its probes.
func (r *resolver) lacks(t *testing.T, why func(netip.AddrPort) error) {
	t.Helper()
	r.Close()
	var err error
	r.Engine, err = Start(Options{Config: parse(t, r.yaml), Share: r.seat, Dial: func(ctx context.Context, n string, to netip.AddrPort) (net.Conn, error) {
		if err := why(to); err != nil {
			return nil, err
		}
		return r.world.dial(ctx, n, to)
	}})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Engine
	t.Cleanup(func() { last.Close() })
}

// hush has addresses of a resolver fall silent, or answer again.
func (r *resolver) hush(silent bool, ips ...string) {
	for _, ip := range ips {
		r.set(ip, silent)
	}
}

// All honest resolvers doubt themselves for a while, in any number of zones. A stolen token
// is then the only voice, and moves nobody.
func TestALiarAmongThoseWhoDoubt(t *testing.T) {
	for mode, yaml := range modes() {
		for _, zones := range [][]string{{fra, fra}, {fra, ams}, {fra, ams, lon}, {fra, fra, lon}} {
			t.Run(mode+" "+strings.Join(zones, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					var all []*resolver
					for i, z := range zones {
						all = append(all, member(t, h, fmt.Sprint("r", i+1), z, yaml))
					}
					pass(30 * time.Second)
					honest := all[:len(all)-1]
					stolen(h, all, zones[len(all)-1], all[0].downBut(h, "198.51.100.10"))
					for _, r := range honest {
						r.hush(true, "192.0.2.53", "192.0.2.54")
					}
					pass(12 * time.Second)
					for _, r := range honest {
						r.hush(true, "192.0.2.10", "198.51.100.10")
					}
					remain(t, 30*time.Second, aws, honest...)
					for _, r := range honest {
						r.hush(false, "192.0.2.53", "192.0.2.54", "192.0.2.10", "198.51.100.10")
					}
					remain(t, 5*time.Minute, aws, honest...)
				})
			})
		}
	}
}

// A resolver has no verdict for a while: it starts, or its probes do not leave the machine.
// A stolen token that speaks meanwhile moves it nowhere.
func TestALiarBesideOneWithoutVerdict(t *testing.T) {
	for mode, yaml := range modes() {
		for _, how := range []string{"a second", "a minute", "six minutes", "no descriptors"} {
			t.Run(mode+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					all := []*resolver{member(t, h, "r1", fra, yaml), member(t, h, "r2", ams, yaml)}
					var lost atomic.Bool
					all[0].lacks(t, func(netip.AddrPort) error {
						if lost.Load() {
							return syscall.EMFILE
						}
						return nil
					})
					pass(30 * time.Second)
					stolen(h, all, ams, all[0].downBut(h, "198.51.100.10"))
					if how == "no descriptors" {
						lost.Store(true)
						remain(t, 5*time.Minute, aws, all[0])
						lost.Store(false)
					} else {
						all[0].Close()
						pass(map[string]time.Duration{"a second": time.Second, "a minute": time.Minute, "six minutes": 6 * time.Minute}[how])
						all[0].start(t, h)
					}
					remain(t, 5*time.Minute, aws, all[0])
				})
			})
		}
	}
}

// A single writer has left a dead region. A stolen token says that all is up, while the
// resolver restarts, or doubts itself: it does not go back into what is dead.
func TestALiarMovesNobodyBackLater(t *testing.T) {
	for mode, yaml := range modes() {
		for _, zone := range []string{fra, ams} {
			for _, how := range []string{"restarts", "doubts"} {
				t.Run(mode+" "+zone+" "+how, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := newHub()
						all := []*resolver{member(t, h, "r1", fra, yaml), member(t, h, "r2", zone, yaml)}
						pass(30 * time.Second)
						buckets := h.said("r1").Buckets
						all[1].Close()
						pass(time.Minute)
						all[0].hush(true, "192.0.2.10")
						if pass(2 * time.Minute); all[0].used() != gcp {
							t.Fatalf("it did not leave: %s", all[0].used())
						}
						h.lie(zone, "r2", share.Opinion{Buckets: buckets})
						pass(5 * time.Minute)
						if how == "restarts" {
							all[0].Close()
							pass(5 * time.Minute)
							all[0].start(t, h)
						} else {
							all[0].hush(true, "192.0.2.53", "192.0.2.54")
							pass(30 * time.Second)
							all[0].hush(false, "192.0.2.53", "192.0.2.54")
						}
						stays(t, all[0])
					})
				})
			}
		}
	}
}

// A stolen token of one of two zones says that it sees what this resolver sees, whose own
// way to all regions is cut: the brake goes on all the same, and nobody moves.
func TestALiarKeepsNoBrakeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		yaml := strings.ReplaceAll(shops(4), "{monitors: [sql],", "{monitors: [sql], single_writer: true,")
		all := gatherFleet(t, h, yaml, fra, ams)
		stolen(h, all, ams, all[0].downBut(h, "198.51.100.10", "198.51.100.11"))
		cut := func(is bool) {
			for i := range 4 {
				all[0].hush(is, fmt.Sprint("192.0.2.", 10+i), fmt.Sprint("198.51.100.", 10+i))
			}
		}
		cut(true)
		remain(t, 30*time.Second, aws, all[0])
		cut(false)
		remain(t, 5*time.Minute, aws, all[0])
	})
}

// A resolver never has a verdict on an endpoint, as where a site lacks a family of addresses.
// It believes the others after ten minutes: where one voice is left all services but single
// writers, and those as soon as a second zone says so.
func TestOneThatNeverHasAVerdict(t *testing.T) {
	for mode, yaml := range modes() {
		for _, zones := range [][]string{{lon, aws, gcp}, {lon, gcp}, {lon, fra, gcp}} {
			t.Run(mode+" "+strings.Join(zones, " "), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					all := gatherFleet(t, h, yaml, zones...)
					all[0].lacks(t, func(to netip.AddrPort) error {
						if to.Addr().String() == "192.0.2.10" {
							return syscall.EAFNOSUPPORT
						}
						return nil
					})
					remain(t, 5*time.Minute, aws, all[0])
					lone := true
					switch zones[1] {
					case aws: // dies with its region
						all[1].cutOff()
					case fra:
						all[1].set("192.0.2.10", true)
						lone = false
					}
					all[len(all)-1].set("192.0.2.10", true)
					want := gcp
					if lone && strings.Contains(yaml, "single_writer: true") {
						want = aws
					}
					if pass(12 * time.Minute); all[0].used() != want {
						t.Errorf("twelve minutes after the region died they use %s, want %s here", inUse(all...), want)
					}
				})
			})
		}
	}
}
