package guard

import (
	"reflect"
	"testing"
	"time"
	"unsafe"
)

// stampsIn returns where instants are in a value, whatever it holds, but in types that
// hold dates.
func stampsIn(v reflect.Value) (all []*Stamp) {
	switch {
	case v.Type() == reflect.TypeFor[Stamp]():
		return []*Stamp{(*Stamp)(unsafe.Pointer(v.UnsafeAddr()))} // #nosec G103 -- of fields that nobody exports
	case v.Type() == reflect.TypeFor[Addr](), v.Type() == reflect.TypeFor[*Signed](), v.Kind() == reflect.Pointer && v.IsNil():
	case v.Kind() == reflect.Pointer:
		return stampsIn(v.Elem())
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		for i := range v.Len() {
			all = append(all, stampsIn(v.Index(i))...)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			all = append(all, stampsIn(v.Field(i))...)
		}
	}
	return all
}

// TestShiftMovesAll holds that no instant is forgotten: each one moves, those that say
// never stay, and dates of signatures do.
func TestShiftMovesAll(t *testing.T) {
	n := &Name{held: make([]held, 2)}
	for _, k := range []*Kept{&n.V4, &n.V6} {
		k.Members, k.Links, k.late = make([]Member, 2), make([]Link, 2), &lately{}
		k.Signed = &Signed{From: 5, Until: 6}
	}
	all := stampsIn(reflect.ValueOf(n).Elem())
	if len(all) < 40 {
		t.Fatalf("found %d instants only", len(all))
	}
	for i, s := range all {
		if i%2 == 0 {
			*s = noon
		}
	}
	n.Shift(2 * time.Hour)
	for i, s := range all {
		if want := noon.Add(2 * time.Hour); i%2 == 0 && *s != want || i%2 == 1 && *s != 0 {
			t.Errorf("instant %d of %d is %d", i, len(all), *s)
		}
	}
	if n.V4.Signed.From != 5 || n.V6.Signed.Until != 6 {
		t.Error("dates of signatures moved")
	}
	n.Shift(-100 * 365 * 24 * time.Hour)
	if n.V4.Members[0].First != 1 && n.V4.Members[0].Last != 1 {
		t.Error("what was before all time is never")
	}
}

// TestASetClockEndsNothing holds that what stands in for four hours at most does so for
// what is left of them after somebody set the clock, forward or back.
func TestASetClockEndsNothing(t *testing.T) {
	for _, step := range []time.Duration{365 * 24 * time.Hour, 2 * time.Hour, -2 * time.Hour, -40 * 365 * 24 * time.Hour} {
		n, now := healthy(says(5, pool(2)...))
		n.Fail(false, NXDomain, now)
		n.Shift(step)
		now = now.Add(step)
		wantStands(t, n, now.Add(time.Minute), pool(2)...)
		wantStands(t, n, now.Add(rules().KeepUnproven-time.Minute), pool(2)...)
		if s, why := n.Stand(false, rules(), now.Add(rules().KeepUnproven+time.Hour), false); len(s.Addrs) > 0 {
			t.Errorf("%v: stands in for ever: %v", step, why)
		}
	}
}
