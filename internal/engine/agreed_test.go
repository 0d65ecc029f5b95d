package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

const (
	aws = "aws/us-east-1"
	gcp = "gcp/europe-west1"
)

// bound is how long a resolver that is alone needs to leave a silent region.
const bound = 11400 * time.Millisecond

// A region fails with one of two resolvers in it: the other one leaves it within
// ten seconds of when it would have left it alone, and goes on alone when the dead
// one's session has ended.
func TestTheRegionFailsWithAResolverInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		dead, alive := all[0], all[1]
		dead.cutOff()
		alive.set("192.0.2.10", true)
		if took := left(t, aws, alive); took > bound+10*time.Second {
			t.Errorf("left after %v", took)
		}
		pass(time.Minute)
		alive.set("192.0.2.10", false)
		pass(time.Hour)
		if alive.used() != aws {
			t.Errorf("alone and healed: %s", alive.used())
		}
		alive.set("192.0.2.10", true)
		if took := left(t, aws, alive); took > bound {
			t.Errorf("alone it left after %v, the bound is %v", took, bound)
		}
	})
}

// The store dies with the region. Nobody waits for it.
func TestTheStoreFailsWithTheRegion(t *testing.T) {
	for _, before := range []time.Duration{0, 5 * time.Second, 12 * time.Second, time.Minute, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub()
			all := gatherFleet(t, h, shop("DIR"), aws, gcp, "azure/westeurope")
			h.change(func() { h.frozen = true })
			pass(before)
			for _, r := range all[1:] {
				r.set("192.0.2.10", true)
			}
			if took := left(t, aws, all[1:]...); took > bound+10*time.Second {
				t.Errorf("store dead for %v: left after %v", before, took)
			}
			h.change(func() { h.frozen = false })
			pass(time.Minute)
			for _, r := range all[1:] {
				if r.used() != gcp {
					t.Errorf("store dead for %v, back: in use %s", before, r.used())
				}
			}
		})
	}
}

// Three of five resolvers are in a region that loses the world, but not the store.
// The two outside leave it, and are never steered into it.
func TestAMajorityThatIsCutOffDecidesForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), aws, aws, aws, gcp, gcp)
		for _, r := range all[:3] {
			r.set("198.51.100.10", true)
		}
		for _, r := range all[3:] {
			r.set("192.0.2.10", true)
		}
		if took := left(t, aws, all[3:]...); took > bound+10*time.Second {
			t.Errorf("left after %v", took)
		}
		for range 600 {
			pass(time.Second)
			for _, r := range all[3:] {
				if r.used() != gcp {
					t.Fatalf("outside the region, in use: %s", r.used())
				}
			}
		}
	})
}

// One resolver of five has a bad path to a region: it leaves, nobody else does, and
// it is back as soon as the path is.
func TestABadPathIsOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), aws, gcp, "azure/westeurope", "onprem/fra1", "onprem/par1")
		bad := all[3]
		bad.set("192.0.2.10", true)
		if took := left(t, aws, bad); took > bound+10*time.Second {
			t.Errorf("left after %v", took)
		}
		pass(10 * time.Minute)
		for _, r := range all {
			if want := map[bool]string{true: gcp, false: aws}[r == bad]; r.used() != want {
				t.Errorf("%s uses %s, want %s", r.seat.name, r.used(), want)
			}
		}
		bad.set("192.0.2.10", false)
		pass(15 * time.Second)
		if bad.used() != aws {
			t.Errorf("mended, in use %s: it waits for a failback", bad.used())
		}
	})
}

// What most zones see, all do, at about the same time, with the same decisions.
func TestAllMoveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), aws, gcp, "azure/westeurope")
		for _, r := range all[:2] {
			r.set("192.0.2.10", true) // the third one's path still works
		}
		if took := left(t, aws, all...); took > bound+3*time.Second {
			t.Errorf("left after %v", took)
		}
		pass(5 * time.Second)
		for _, r := range all {
			if h := r.Load().Hash(); h != all[0].Load().Hash() {
				t.Errorf("%s decides otherwise: %x", r.seat.name, h)
			}
		}
	})
}

const manual = `
state: {dir: DIR}
admin: {listen: "off"}
monitors: {sql: {type: tcp, port: 5432}}
services:
  db.example.org:
    monitors: [sql]
    single_writer: true` + pools

// A rolling upgrade during a failover that waits for an operator: the new resolver
// has an empty disk, and moves nothing back. The operator's word, said to one, is
// heard by all.
func TestANewResolverMovesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, manual, gcp, gcp, gcp)
		for _, r := range all {
			r.set("192.0.2.10", true)
		}
		left(t, aws, all...)
		for _, r := range all {
			r.set("192.0.2.10", false)
		}
		pass(10 * time.Minute)
		for i, r := range all { // each anew, with an empty disk
			r.Close()
			fresh := join(t, h, r.seat.name, gcp, t.TempDir(), manual, r.world)
			fresh.Wait(t.Context())
			all[i] = fresh
			for range 60 {
				if fresh.used() != gcp {
					t.Fatalf("the new %s uses %s", r.seat.name, fresh.used())
				}
				pass(time.Second)
			}
		}
		if _, err := all[0].Failback("db.example.org.", false, "test"); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		for _, r := range all {
			if r.used() != aws {
				t.Errorf("%s uses %s after the failback was asked for", r.seat.name, r.used())
			}
		}
	})
}

// A resolver that starts while the store is slow takes over how services stand as
// soon as it is told.
func TestANewResolverIsToldLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), gcp, gcp)
		for _, r := range all {
			r.set("192.0.2.10", true)
		}
		left(t, aws, all...)
		for _, r := range all {
			r.set("192.0.2.10", false)
		}
		pass(30 * time.Second) // healed, and waits for its failback
		h.change(func() { h.frozen = true })
		fresh := join(t, h, "r3", gcp, t.TempDir(), shop("DIR"), &world{})
		pass(10 * time.Second)
		h.change(func() { h.frozen = false })
		pass(20 * time.Second)
		for _, r := range append(all, fresh) {
			if r.used() != gcp {
				t.Errorf("%s uses %s", r.seat.name, r.used())
			}
		}
	})
}

// An operator's drain at one resolver is in force at all, survives the loss of all
// that the store holds, and ends everywhere.
func TestADrainIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp, "azure/westeurope")
		if err := all[0].PutOverride(drain(aws), "test"); err != nil {
			t.Fatal(err)
		}
		if took := left(t, aws, all...); took > 3*time.Second {
			t.Errorf("in force everywhere after %v", took)
		}
		h.change(func() { clear(h.records) }) // restored from before
		pass(time.Minute)
		for _, r := range all {
			if r.used() != gcp {
				t.Errorf("%s uses %s after the store lost the drain", r.seat.name, r.used())
			}
		}
		if len(h.records) == 0 {
			t.Error("what the store lost was not written again")
		}
		if err := all[1].DeleteOverride(aws, "test"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		for _, r := range all {
			if o, _ := r.Hands(); len(o) != 0 {
				t.Errorf("%s: %v after it was lifted elsewhere", r.seat.name, o)
			}
		}
	})
}

// Two operators who cannot see each other drain both regions. When the resolvers
// hear of each other again, every service still has an answer.
func TestTwoDrainsMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		h.change(func() { h.frozen = true })
		for i, target := range []string{aws, gcp} {
			if err := all[i].PutOverride(drain(target), "test"); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		h.change(func() { h.frozen = false })
		pass(time.Minute)
		for _, r := range all {
			o, _ := r.Hands()
			if len(o) != 2 || r.used() != gcp {
				t.Errorf("%s: %d overrides, in use %q; want both, and that the younger one is void", r.seat.name, len(o), r.used())
			}
		}
	})
}

// At rest nothing is written.
func TestNothingIsWrittenAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		gatherFleet(t, h, shop("DIR"), aws, gcp, "azure/westeurope")
		before := h.writes
		pass(time.Hour)
		if h.writes != before {
			t.Errorf("%d writes in an hour", h.writes-before)
		}
	})
}

// A roll-out edits a monitor during an outage: those with the new file and those
// with the old one do not know each other's checks. Nobody goes back to what is
// dead, and everybody can still fail over.
func TestAMonitorIsEditedInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), aws, gcp, "azure/westeurope")
		for _, r := range all {
			r.set("192.0.2.10", true)
		}
		left(t, aws, all...)
		for _, r := range all {
			if err := r.Apply(parse(t, edited(r.yaml))); err != nil {
				t.Fatal(err)
			}
			for range 30 {
				pass(time.Second)
				for _, o := range all {
					if o.used() != gcp {
						t.Fatalf("%s goes back to %s", o.seat.name, o.used())
					}
				}
			}
		}
	})
}

// A resolver with other checks than before is heard to have them: it has no voice
// until the others have them too.
func TestAReloadIsToldToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shop("DIR"), aws, gcp)
		alike := func(r *resolver) bool { now, _ := r.Sharing(); return now.Observers[1].Alike }
		if err := all[0].Apply(parse(t, edited(all[0].yaml))); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		if alike(all[0]) || alike(all[1]) {
			t.Errorf("alike: %v %v after one was edited", alike(all[0]), alike(all[1]))
		}
		if err := all[1].Apply(parse(t, edited(all[1].yaml))); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		if !alike(all[0]) || !alike(all[1]) {
			t.Errorf("alike: %v %v after both were edited", alike(all[0]), alike(all[1]))
		}
	})
}

// An edit of where resolvers meet is taken at the next start, and said until then.
func TestAnEditOfTheMeetingIsSaid(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(dir)), &world{})
		defer e.Close()
		if e.Summary().Rejoins {
			t.Error("said without an edit")
		}
		if err := e.Apply(parse(t, shop(dir)+"\nshare: {consul: [{}]}\n")); err != nil {
			t.Fatal(err)
		}
		if !e.Summary().Rejoins {
			t.Error("not said")
		}
	})
}

// A region with many services fails. Nobody writes more than one opinion and one
// set of records a second, and in the end the store knows where every service is.
func TestAFailureIsWrittenSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 300
		yaml := "state: {dir: DIR}\nadmin: {listen: \"off\"}\nmonitors: {sql: {type: tcp, port: 5432}}\nservices:\n"
		for i := range services {
			yaml += fmt.Sprintf("  s%d.example.org: {monitors: [sql], pools: [{aws/us-east-1: [192.0.2.10]}, {gcp/europe-west1: [198.51.100.10]}]}\n", i)
		}
		h := newHub()
		all := gatherFleet(t, h, yaml, aws, gcp, "azure/westeurope")
		for _, r := range all {
			r.set("192.0.2.10", true)
		}
		left(t, aws, all...)
		pass(time.Minute)
		for _, r := range all {
			for i, at := range r.seat.when {
				n := 0
				for _, o := range r.seat.when[i:] {
					if o.Sub(at) < time.Second {
						n++
					}
				}
				if n > 2 {
					t.Fatalf("%s writes %d times in a second", r.seat.name, n)
				}
			}
		}
		for _, r := range all {
			if n := len(h.uses[share.MemberID(r.Load().Plan.Config.Self.Zone, r.seat.name)].Services); n != services {
				t.Errorf("the store knows of %d services that %s uses, want %d", n, r.seat.name, services)
			}
		}
	})
}
