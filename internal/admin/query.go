package admin

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// strayKey refuses a query with a key that nobody would read: what it asks for would
// silently not be done.
func (to *route) strayKey(q url.Values) error {
	for _, key := range slices.Sorted(maps.Keys(q)) {
		if slices.ContainsFunc(to.query, func(p param) bool { return p.name == key }) {
			continue
		}
		where := "it takes none"
		switch {
		case hasKey(to.body, key):
			where = "it belongs into the body, as {" + quote(key) + ": ...}"
		case len(to.query) > 0:
			where = "it takes " + to.keys()
		}
		return problem(http.StatusBadRequest, "there is no query key %s here: %s", quote(key), where)
	}
	return nil
}

// keys lists what the query takes: "since, after and limit".
func (to *route) keys() string {
	var names []string
	for _, p := range to.query {
		names = append(names, p.name)
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// hasKey reports whether a body has a key.
func hasKey(body any, key string) bool {
	t := reflect.TypeOf(body)
	if t == nil || t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == key {
			return true
		}
	}
	return false
}
