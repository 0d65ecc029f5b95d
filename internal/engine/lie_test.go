package engine

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

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
