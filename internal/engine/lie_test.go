package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
)

// TestAnOverrideOfNoKind holds that a record of an override of which nobody knows what it
// does is left alone, and that those of operators count as ever.
func TestAnOverrideOfNoKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		one := gatherFleet(t, h, shop("DIR"), aws, gcp)[0]
		lie := share.Record{
			Kind: share.Override, Target: aws, Version: share.Version{N: 1, Writer: "thief"}, TTL: time.Hour,
			Value: json.RawMessage(`{"Target":"` + aws + `","Kind":200,"Reason":"x","Owner":"x"}`),
		}
		h.change(func() { h.records[lie.Key()] = lie })
		pass(5 * time.Second)
		if o, _ := one.Hands(); len(o) > 0 || one.used() != aws {
			t.Errorf("%v counts, used is %s", o, one.used())
		}
		if err := one.PutOverride(drain(aws), "uid 7"); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		if one.used() != gcp {
			t.Errorf("drained, and uses %s", one.used())
		}
	})
}

// TestWhoComesAndGoesWashesNothingOut holds that observers under ever new names, as the
// token of a whole zone allows, do not push all else out of the history.
func TestWhoComesAndGoesWashesNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		one := gatherFleet(t, h, shop("DIR"), aws)[0]
		const rounds, each = 300, 40
		for i := range rounds {
			h.change(func() {
				clear(h.opinions)
				for n := range each {
					name := fmt.Sprintf("x%d-%d", i, n)
					h.opinions[name] = said{Opinion: share.Opinion{Observer: name, Boot: "b", Zone: gcp}}
				}
			})
			pass(time.Second)
		}
		h.change(func() { clear(h.opinions) })
		pass(time.Minute)
		told, summed := 0, false
		for _, e := range one.Journal().Find(journal.Query{}) {
			told++
			summed = summed || strings.Contains(e.Text, "came or left")
		}
		if most := visitsAtOnce + int(rounds*time.Second/visitEvery) + 30; told > most || !summed {
			t.Errorf("%d comings and goings are told in %d events, want %d at most; summed up: %v", 2*rounds*each, told, most, summed)
		}
	})
}
