package guard

import (
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/detour-dns/detour/internal/guard"
)

// entryStamps returns where instants are in an entry, but for what is known of the
// name.
func entryStamps(v reflect.Value) (all []*guard.Stamp) {
	switch {
	case v.Type() == reflect.TypeFor[guard.Stamp]():
		return []*guard.Stamp{(*guard.Stamp)(unsafe.Pointer(v.UnsafeAddr()))} // #nosec G103 -- of fields that nobody exports
	case v.Type() == reflect.TypeFor[guard.Name]():
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return entryStamps(v.Elem())
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			all = append(all, entryStamps(v.Index(i))...)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			all = append(all, entryStamps(v.Field(i))...)
		}
	}
	return all
}

// TestASetClockShiftsEntries holds that every instant of every entry moves with a
// clock that was set, and that the disk is told.
func TestASetClockShiftsEntries(t *testing.T) {
	b := newBureau()
	table := newTable("block", b, nil)
	b.tables["block"] = table
	e := &entry{name: "api.example.", far: &[2]far{}}
	table.entries[e.name] = e
	now := guard.At(time.Now())
	all := entryStamps(reflect.ValueOf(e).Elem())
	if len(all) < 10 {
		t.Fatalf("found %d instants only", len(all))
	}
	for _, s := range all {
		*s = now
	}
	e.known.Gone, table.swept, b.trade.all = now, now, now
	b.shift(time.Hour)
	for i, s := range append(all, &e.known.Gone, &table.swept, &b.trade.all) {
		if *s != now.Add(time.Hour) {
			t.Errorf("instant %d did not move", i)
		}
	}
	if e.dirt != stale {
		t.Error("the disk is not told")
	}
}
