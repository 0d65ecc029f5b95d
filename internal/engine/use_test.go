package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/steer"
)

// singleWriter is a service of which one region at most may be in use.
func singleWriter(dir string) string {
	return strings.Replace(shop(dir), "    monitors:", "    single_writer: true\n    monitors:", 1)
}

const fra, ams, lon = "onprem/fra1", "onprem/ams1", "onprem/lon1"

// lie writes what a thief of an observer's token may: everything under its own keys.
func (h *hub) lie(zone, name string, o share.Opinion, uses ...share.ServiceUse) {
	h.lieAt(name, zone, name, o, uses...)
}

// lieAt does so under a key of its own: the name may be one of another zone, too.
func (h *hub) lieAt(key, zone, name string, o share.Opinion, uses ...share.ServiceUse) {
	h.change(func() {
		o.Observer, o.Zone, o.Boot = name, zone, "lie"
		h.opinions[key] = said{Opinion: o}
		u := share.Use{Observer: name, Zone: zone, Boot: "lie", Services: uses}
		h.uses[u.ID()] = u
	})
}

// said returns what an observer says now.
func (h *hub) said(name string) (o share.Opinion) {
	h.change(func() { o = h.opinions[name].Opinion })
	return o
}

// usesNow is what a service uses: one region, the other one out.
func usesNow(in, out string, age time.Duration) share.ServiceUse {
	return share.ServiceUse{ID: share.ServiceID("shop.example.org.", ""), Pools: []share.PoolUse{
		{Name: in, Used: true}, {Name: out, Out: true, Returning: true, Age: age, Ejections: 900},
	}}
}

// failOver has resolvers leave a region that is healthy again afterwards.
func failOver(t *testing.T, all ...*resolver) {
	t.Helper()
	for _, r := range all {
		r.set("192.0.2.10", true)
	}
	left(t, aws, all...)
	for _, r := range all {
		r.set("192.0.2.10", false)
	}
	pass(time.Minute)
}

func inUse(all ...*resolver) string {
	var out []string
	for _, r := range all {
		out = append(out, r.used())
	}
	return strings.Join(out, " ")
}

// A stolen token says that its observer uses another region, that all is up or all
// is down. Nobody who runs moves, whether the failback is manual or not; nobody who
// starts follows it against the other zones.
func TestAThiefMovesNobody(t *testing.T) {
	for name, yaml := range map[string]string{"automatic": shop("DIR"), "single writer": singleWriter("DIR")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, yaml, fra, ams, lon)
				for n, age := range []time.Duration{0, time.Hour, 290 * 365 * 24 * time.Hour} {
					h.lie(lon, "r3", share.Opinion{Buckets: h.said("r1").Buckets}, usesNow(gcp, aws, age))
					if pass(2 * time.Minute); inUse(all[:2]...) != aws+" "+aws {
						t.Fatalf("lie %d: in use are %s", n, inUse(all[:2]...))
					}
					all[0].Close()
					all[0] = join(t, h, "r1", fra, t.TempDir(), yaml, all[0].world)
					if pass(2 * time.Minute); all[0].used() != aws {
						t.Fatalf("lie %d: who starts uses %s", n, all[0].used())
					}
				}
			})
		})
	}
}

// A lie about one zone made with the token of another is of that other zone: it ties
// no vote. The region of a single writer dies, and all move.
func TestATokenSpeaksForItsZoneOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, singleWriter("DIR"), fra, ams, lon)
		all[2].Close()
		up := share.Opinion{Buckets: h.said("r1").Buckets}
		h.lieAt("r1 of lon", lon, "r1", up) // the name of another zone's
		pass(30 * time.Second)
		for _, r := range all[:2] {
			r.set("192.0.2.10", true)
		}
		if took := left(t, aws, all[:2]...); took > bound+11*time.Second {
			t.Errorf("left after %v", took)
		}
	})
}

// A resolver without a disk takes what most zones use, not what the policy says. One
// with a disk goes on as it was.
func TestAStartTakesWhatMostZonesUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, singleWriter("DIR"), fra, ams, lon)
		failOver(t, all...)
		if inUse(all...) != strings.Join([]string{gcp, gcp, gcp}, " ") {
			t.Fatalf("in use: %s", inUse(all...))
		}
		for i, zone := range []string{fra, ams, lon} { // one after the other, with empty disks
			all[i].Close()
			all[i] = join(t, h, fmt.Sprint("r", i+1), zone, t.TempDir(), singleWriter("DIR"), all[i].world)
			if pass(3 * time.Second); all[i].used() != gcp {
				t.Errorf("%s starts with %s", all[i].seat.name, all[i].used())
			}
			pass(time.Minute)
		}
		for i := range all { // all at once: what they said outlives them
			all[i].Close()
		}
		pass(time.Hour)
		for i, zone := range []string{fra, ams, lon} {
			all[i] = join(t, h, fmt.Sprint("r", i+1), zone, t.TempDir(), singleWriter("DIR"), all[i].world)
		}
		if pass(time.Minute); inUse(all...) != strings.Join([]string{gcp, gcp, gcp}, " ") {
			t.Errorf("after a restart of all: %s", inUse(all...))
		}
	})
}

// What others use is not taken where the probes of this resolver find it Down.
func TestAStartTakesNothingThatIsDownHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, singleWriter("DIR"), fra, ams, lon)
		failOver(t, all...)
		all[0].Close()
		w := &world{}
		w.set("198.51.100.10", true)
		r := join(t, h, "r1", fra, t.TempDir(), singleWriter("DIR"), w)
		if pass(20 * time.Second); r.used() != gcp {
			t.Logf("%s is used before the others agree", r.used())
		}
		for _, o := range all[1:] {
			o.set("198.51.100.10", true)
		}
		if took := left(t, gcp, append(all[1:], r)...); took > bound+11*time.Second {
			t.Errorf("left after %v", took)
		}
	})
}

// apartAndHealed has the zones of a single writer use different regions: they were
// cut off from one another, and each saw another one dead.
func apartAndHealed(t *testing.T, h *hub, zones ...string) []*resolver {
	t.Helper()
	var all []*resolver
	for i, zone := range zones {
		r := join(t, h, fmt.Sprint("r", i+1), zone, t.TempDir(), singleWriter("DIR"), &world{})
		all = append(all, r)
	}
	pass(30 * time.Second)
	moves := all[1:]
	for _, r := range all {
		r.seat.h.change(func() { r.seat.cut = true })
	}
	pass(11 * time.Minute) // each decides alone
	failOver(t, moves...)
	for _, r := range all {
		r.seat.h.change(func() { r.seat.cut = false })
		_ = r.Do(func(*Core) { r.sharing.usesAnew = true })
	}
	return all
}

// Two zones come back together and use different regions: neither moves by itself,
// both say so, and the command that they name ends it everywhere within two seconds.
func TestATieIsLoud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := apartAndHealed(t, h, fra, ams)
		if pass(2 * time.Minute); inUse(all...) != aws+" "+gcp {
			t.Fatalf("in use: %s", inUse(all...))
		}
		for _, r := range all {
			now, _ := r.Sharing()
			if len(now.Splits) != 1 || now.Splits[0].Text() != "onprem/ams1 uses "+gcp+", onprem/fra1 uses "+aws || now.Splits[0].Command != "resolver failback shop.example.org --now" {
				t.Errorf("%s says %+v", r.seat.name, now.Splits)
			}
			events := r.Journal().Find(journal.Query{})
			if n := len(slices.DeleteFunc(events, func(e journal.Event) bool { return !strings.HasPrefix(e.Text, "split: shop.example.org") })); n != 1 {
				t.Errorf("%s tells it %d times", r.seat.name, n)
			}
		}
		if asked, err := all[0].Failback("shop.example.org.", true, "jo"); err != nil || asked.Pools != 0 || !slices.Equal(asked.Split, []string{"shop.example.org"}) {
			t.Fatalf("nothing returns here, but a split ends: %+v, %v", asked, err)
		}
		if pass(2 * time.Second); inUse(all...) != aws+" "+aws {
			t.Errorf("two seconds after the failback: %s", inUse(all...))
		}
		if pass(time.Minute); len(func() []Split { now, _ := all[1].Sharing(); return now.Splits }()) != 0 {
			t.Error("the split is still told")
		}
	})
}

// Three zones come back together: the one that differs follows the other two after
// half a minute, not before, and no other moves.
func TestTheFewFollowTheMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := apartAndHealed(t, h, fra, ams, lon)
		if pass(20 * time.Second); all[0].used() != aws {
			t.Errorf("moved at once")
		}
		if pass(40 * time.Second); inUse(all...) != gcp+" "+gcp+" "+gcp {
			t.Errorf("in use: %s", inUse(all...))
		}
	})
}

// An operator's failback ends the returns that wait when it is seen, on all
// resolvers, and none that begins later. Who starts takes it as done.
func TestAFailbackEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, singleWriter("DIR"), fra, ams, lon)
		failOver(t, all...)
		all[2].Close() // its disk says that it waits
		if n, err := all[0].Failback("shop.example.org.", true, "jo"); n.Pools != 1 || err != nil {
			t.Fatal(n, err)
		}
		if pass(2 * time.Second); inUse(all[:2]...) != aws+" "+aws {
			t.Fatalf("two seconds later: %s", inUse(all[:2]...))
		}
		all[2].start(t, h)
		t.Cleanup(all[2].Close)
		if pass(3 * time.Second); all[2].used() != aws {
			t.Errorf("who starts uses %s", all[2].used())
		}
		pass(time.Minute)
		failOver(t, all...)
		if pass(10 * time.Minute); inUse(all...) != gcp+" "+gcp+" "+gcp {
			t.Errorf("a return that began later ended by itself: %s", inUse(all...))
		}
		all[1].Close()
		all[1].start(t, h)
		t.Cleanup(all[1].Close)
		if pass(time.Minute); all[1].used() != gcp {
			t.Errorf("after a restart the old record moved it to %s", all[1].used())
		}
	})
}

// An undrain at one resolver holds everywhere within two seconds, also when another
// resolver has just written, and whatever versions a thief wrote elsewhere.
func TestAnUndrainHoldsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), fra, ams, lon)
		for _, r := range []*resolver{all[2], all[0]} { // both at once: the second is the last
			if err := r.PutOverride(drain(aws), "test"); err != nil {
				t.Fatal(err)
			}
		}
		left(t, aws, all...)
		pass(5 * time.Second)
		if err := all[0].DeleteOverride(aws, "test"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		for _, r := range all {
			if o, _ := r.Hands(); len(o) != 0 {
				t.Errorf("%s still has %v", r.seat.name, o)
			}
		}
	})
}

// A drain's time of making by a clock that is ahead makes it no younger than others.
func TestADateOfTheFutureIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), fra, ams)
		o := drain(aws)
		o.Made = time.Now().Add(10_000 * time.Hour)
		if err := all[0].PutOverride(o, "test"); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		for _, r := range all {
			hands, _ := r.Hands()
			if i := slices.IndexFunc(hands, func(x steer.Override) bool { return x.Target == aws }); i < 0 || hands[i].Made.After(time.Now()) {
				t.Errorf("%s: %+v", r.seat.name, hands)
			}
		}
	})
}

// A zone has more observers than expected: the youngest have no voice, which is
// shown; when the older ones are gone they have.
func TestTheYoungestAreMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		yaml := "share: {expect: {" + fra + ": 1, " + ams + ": 1}, consul: [{}]}\n" + shop("DIR")
		all := gatherFleet(t, h, yaml, fra, ams)
		up := share.Opinion{Buckets: h.said("r1").Buckets}
		for i := range 5 {
			h.lie(ams, fmt.Sprint("aaa", i), up)
		}
		pass(5 * time.Second)
		now, _ := all[0].Sharing()
		muted := 0
		for _, o := range now.Observers {
			muted += by(o.Muted)
			if o.Muted != strings.HasPrefix(o.Name, "aaa") {
				t.Errorf("%s is mute: %v", o.Name, o.Muted)
			}
		}
		if muted != 5 {
			t.Errorf("%d are mute", muted)
		}
		for _, r := range all {
			r.set("192.0.2.10", true)
		}
		if took := left(t, aws, all...); took > bound+2*time.Second {
			t.Errorf("left after %v: the mute are heard", took)
		}
	})
}
