package failover

import (
	"reflect"

	"github.com/coredns/coredns/plugin"
)

// zonesOf returns the zones that a plugin of CoreDNS answers for or signs, and whether
// it says them. Most of them keep the list to themselves, so that fields are read by
// name: a test holds that each plugin whose zones matter still has one.
func zonesOf(h plugin.Handler) (zones plugin.Zones, ok bool) {
	v := reflect.Indirect(reflect.ValueOf(h))
	if v.Kind() != reflect.Struct {
		return nil, false
	}
	for _, name := range []string{"zones", "Zones", "zoneNames", "from"} {
		f, found := v.Type().FieldByName(name)
		if !found {
			continue
		}
		if list, err := v.FieldByIndexErr(f.Index); err == nil { // else it is behind a pointer that is nil
			if zones, ok = namesIn(list); ok {
				return zones, true
			}
		}
	}
	return nil, false
}

// namesIn returns the names in a string, a list of strings, or what `file` has, and
// whether it is one of these.
func namesIn(v reflect.Value) (names []string, ok bool) {
	if v.Kind() == reflect.Struct {
		v = v.FieldByName("Names")
	}
	switch {
	case v.Kind() == reflect.String:
		return []string{v.String()}, true
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
		for i := range v.Len() {
			names = append(names, v.Index(i).String())
		}
		return names, true
	}
	return nil, false
}
