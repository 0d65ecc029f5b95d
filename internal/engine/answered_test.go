package engine

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// What is only observed does not move: it would have, and that is told and counted
// apart.
func TestObservedIsNoMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, "mode: observe\n"+shop(t.TempDir())), w)
		defer e.Close()
		pass(20 * time.Second)
		w.set("192.0.2.10", true)
		pass(30 * time.Second)
		same(t, e.story(journal.Moved, journal.Refused), []string{
			"refused shop.example.org aws/us-east-1 gcp/europe-west1 observe",
		})
		if tally := e.Tally(); len(tally.Moves) != 0 || tally.Refused[RefusedObserve] != 1 {
			t.Errorf("counted %v and %v", tally.Moves, tally.Refused)
		}
		_, then, _, err := e.Simulate([]string{"aws/us-east-1"})
		if err != nil || then.State(0).From != 1 {
			t.Errorf("%v, simulated to be answered from pools %b", err, then.State(0).From)
		}
	})
}

// A service that is not answered any more moved to nothing.
func TestLastResortNoneIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		yaml := strings.Replace(shop(t.TempDir()), "monitors: [sql]", "monitors: [sql]\n    last_resort: {mode: none}", 1)
		e := begin(t, parse(t, yaml), w)
		defer e.Close()
		pass(20 * time.Second)
		w.set("192.0.2.10", true)
		pass(30 * time.Second)
		w.set("198.51.100.10", true)
		pass(3 * time.Minute)
		same(t, e.story(journal.Moved), []string{
			"move shop.example.org aws/us-east-1 gcp/europe-west1 moved",
			"move shop.example.org gcp/europe-west1 nothing panic",
		})
		want := map[Moved]uint64{
			{"shop.example.org", "aws/us-east-1", "gcp/europe-west1", "moved"}: 1,
			{"shop.example.org", "gcp/europe-west1", "nothing", "panic"}:       1,
		}
		if got := e.Tally().Moves; !maps.Equal(got, want) {
			t.Errorf("counted %v, want %v", got, want)
		}
	})
}

// A drain acts under a freeze too, and is told.
func TestADrainUnderAFreezeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yaml := strings.Replace(shop(t.TempDir()), "monitors: [sql]", "monitors: [sql]\n    policy: all", 1)
		e := begin(t, parse(t, yaml), &world{})
		defer e.Close()
		pass(20 * time.Second)
		if err := e.PutFreeze(steer.Freeze{Until: time.Now().Add(time.Hour), Owner: "jo", Reason: "test"}, "test"); err != nil {
			t.Fatal(err)
		}
		if err := e.PutOverride(drain("aws/us-east-1"), "test"); err != nil {
			t.Fatal(err)
		}
		same(t, e.story(journal.Moved, journal.Refused), []string{
			"move shop.example.org aws/us-east-1+gcp/europe-west1 gcp/europe-west1 frozen",
		})
	})
}
