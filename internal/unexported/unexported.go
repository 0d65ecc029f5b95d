// Package unexported reaches fields of CoreDNS and Caddy that those keep to themselves,
// where there is no other way to them. Each use has a test that fails if the field is gone.
package unexported

import (
	"fmt"
	"reflect"
)

// Field returns where the field of a struct is, given a pointer to the struct. Several names
// are a path through structs and pointers to them. It panics if there is none of that name
// and type: this build is of another version than it was written for.
func Field[T any](of any, path ...string) *T {
	v := reflect.ValueOf(of)
	for _, name := range path {
		if v = reflect.Indirect(v).FieldByName(name); !v.IsValid() {
			panic(fmt.Sprintf("%T has no field %s", of, name))
		}
	}
	if want := reflect.TypeFor[T](); v.Type() != want {
		panic(fmt.Sprintf("%T: %v is %v, not %v", of, path, v.Type(), want))
	}
	return (*T)(v.Addr().UnsafePointer())
}
