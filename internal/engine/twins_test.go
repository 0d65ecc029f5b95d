package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// twins is a service with two pools in one region, and one in another.
func twins(writer bool) string {
	return fmt.Sprintf("monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: DIR}\nadmin: {listen: \"off\"}\nservices:\n  shop.example.org:\n    monitors: [sql]\n    single_writer: %v\n", writer) +
		"    pools:\n      - aws/us-east-1: [192.0.2.10]\n      - aws/us-east-1: [192.0.2.11]\n      - gcp/europe-west1: [198.51.100.10]\n"
}

// TestTwinsAreToldApart holds that resolvers mean the same pool when a region has two: a
// single writer that left the first one is brought back by nobody but an operator.
func TestTwinsAreToldApart(t *testing.T) {
	for name, zones := range map[string][]string{"three zones": {fra, ams, lon}, "one zone": {fra, fra, fra}, "two zones": {fra, ams}, "alone": {fra}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := gatherFleet(t, newHub(), twins(true), zones...)
				set := func(down bool) {
					for _, r := range all {
						r.set("192.0.2.10", down)
					}
					pass(2 * time.Minute)
				}
				pass(2 * time.Minute)
				set(true)
				set(false)
				pass(10 * time.Minute)
				for i, r := range all {
					if used := r.Load().State(0).Memory.Used; used != 0b010 {
						t.Errorf("resolver %d uses %b, want the second pool", i, used)
					}
				}
			})
		})
	}
}

// TestADeadTwinIsRemoved holds that the line of a dead machine can be deleted: what is
// remembered of pools of one region goes by their endpoints.
func TestADeadTwinIsRemoved(t *testing.T) {
	for _, writer := range []bool{true, false} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("writer %v restart %v", writer, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub()
					r := gatherFleet(t, h, twins(writer), fra)[0]
					defer func() { r.Close() }()
					pass(2 * time.Minute)
					r.set("192.0.2.10", true)
					pass(2 * time.Minute)
					r.yaml = strings.Replace(r.yaml, "      - aws/us-east-1: [192.0.2.10]\n", "", 1)
					if restart {
						r.Close()
						r.start(t, h)
					} else if err := r.Apply(parse(t, r.yaml)); err != nil {
						t.Fatal(err)
					}
					for range 600 {
						pass(time.Second)
						if used := r.Load().State(0).Memory.Used; used != 0b01 {
							t.Fatalf("it uses %b, want the pool that is left in aws", used)
						}
					}
				})
			})
		}
	}
}
