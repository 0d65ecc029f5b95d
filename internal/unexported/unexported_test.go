package unexported

import "testing"

type inner struct{ word string }

type outer struct {
	n   int
	far *inner
}

func TestField(t *testing.T) {
	o := &outer{1, &inner{"a"}}
	*Field[int](o, "n") = 2
	*Field[string](o, "far", "word") = "b"
	if o.n != 2 || o.far.word != "b" {
		t.Errorf("%+v, %+v", o, o.far)
	}
	for name, reach := range map[string]func(){
		"no such field":       func() { Field[int](o, "m") },
		"none of this type":   func() { Field[string](o, "n") },
		"none on the way":     func() { Field[string](o, "near", "word") },
		"the end of the path": func() { Field[string](o, "far", "words") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			reach()
		}()
	}
}
