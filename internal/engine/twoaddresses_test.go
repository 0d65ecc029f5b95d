package engine

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A region whose endpoint is a name with two addresses. One address is silent for a minute,
// the other is well all along. Nobody should leave the region when the first one is back.
func TestANameOfTwoAddresses(t *testing.T) {
	for mode, yaml := range map[string]string{"writer": singleWriter("DIR"), "shop": shop("DIR")} {
		for _, which := range []string{"192.0.2.10", "192.0.2.11"} {
			t.Run(mode+" "+which, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					z := &zone{}
					z.set("192.0.2.10", "192.0.2.11")
					var all []*resolver
					for i, at := range []string{fra, ams, lon} {
						r := &resolver{world: &world{}, seat: &seat{h: h, name: fmt.Sprint("r", i+1)}}
						y := strings.ReplaceAll(strings.Replace(yaml, "[192.0.2.10]", "[lb.example.net]", 1), "DIR", filepath.Join(t.TempDir(), r.seat.name))
						r.yaml = "self: {name: " + r.seat.name + ", zone: " + at + "}\n" + y
						var err error
						if r.Engine, err = Start(Options{Config: parse(t, r.yaml), Share: r.seat, Dial: r.world.dial, Lookup: z.lookup, Log: slog.New(slog.DiscardHandler)}); err != nil {
							t.Fatal(err)
						}
						t.Cleanup(r.Close)
						all = append(all, r)
					}
					pass(2 * time.Minute)
					if strings.Count(inUse(all...), aws) != 3 {
						t.Fatal("start: ", inUse(all...))
					}
					for range 3 {
						for _, r := range all {
							r.set(which, true)
						}
						remain(t, time.Minute, aws, all...)
						for _, r := range all {
							r.set(which, false)
						}
						remain(t, 3*time.Minute, aws, all...)
					}
				})
			})
		}
	}
}
