package health

import (
	"slices"
	"testing"
	"time"
)

// Two checks of one endpoint: what both saw of a failure is one ejection, in whichever order
// they are given, and the latest one is the latest of either.
func TestMerged(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	list := func(seconds ...int) (out Ejections) {
		for _, s := range seconds {
			out = append(out, at.Add(time.Duration(s)*time.Second))
		}
		return out
	}
	for _, c := range []struct{ a, b, want Ejections }{
		{nil, nil, nil},
		{list(1), nil, list(1)},
		{list(0), list(9), list(9)},
		{list(0), list(15), list(15)},
		{list(0), list(16), list(0, 16)},
		{list(0, 5, 10), list(100), list(0, 5, 10, 100)},
		{list(0, 60), list(2, 30), list(2, 30, 60)},
	} {
		for _, got := range []Ejections{merged(c.a, c.b), merged(c.b, c.a)} {
			if !slices.EqualFunc(got, c.want, time.Time.Equal) {
				t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
			}
		}
	}
	var long Ejections
	for i := range MaxEjections {
		long = append(long, at.Add(time.Duration(i)*time.Hour))
	}
	if got := merged(long, list(100)); len(got) != MaxEjections || !got.Last().Equal(long.Last()) || !got[0].Equal(at.Add(100*time.Second)) {
		t.Errorf("%d: %v", len(got), got[0])
	}
}
