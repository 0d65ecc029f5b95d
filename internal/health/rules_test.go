package health

import (
	"testing"
	"time"
)

// An ejection is what takes something out of use that was Up: also by way of
// Unknown, and not once more where it was Down before that.
func TestEjectionsByWayOfUnknown(t *testing.T) {
	for story, want := range map[string]int{"+": 1, "+ttt": 1, "ttt": 0} {
		var s State
		live(&s, Context{}, story)
		s.Age(params, s.Heard.Add(params.Stale+1))
		live(&s, Context{}, "ttt")
		if n := len(s.Ejected); s.Verdict != Down || n != want {
			t.Errorf("%s, stale, then Down: %v with %d ejections, want %d", story, s.Verdict, n, want)
		}
	}
}

func TestWasUpIsKept(t *testing.T) {
	for story, want := range map[string]bool{"": false, "ttt": false, "+": true, "+ttt": true, "+ttt+++": true} {
		var s State
		live(&s, Context{}, story)
		if s.WasUp != want || s.View().WasUp != want {
			t.Errorf("%q: was Up %v, want %v", story, s.WasUp, want)
		}
	}
}

// A first success that comes after failures forgives them, as a row of successes
// does later.
func TestTheFirstUpForgives(t *testing.T) {
	var s State
	if live(&s, Context{}, "ss+"); s.Verdict != Up || s.Confirming() {
		t.Errorf("%v, confirming %v", s.Verdict, s.Confirming())
	}
	if got := live(&s, Context{}, "s+s"); got != "+++" {
		t.Errorf("what failed before the first success counts after it: %s", got)
	}
}

// What was passing before an event, and failed since, raises suspicion: of what is
// Down only what turned so within the bound, and had been Up.
func TestSuspect(t *testing.T) {
	for name, c := range map[string]struct {
		story       string
		after       time.Duration // of the end of the story
		was, failed bool
	}{
		"nothing is known":        {"", 0, false, false},
		"unknown, failing":        {"tt", 0, false, false},
		"up":                      {"+", 0, true, false},
		"up, failing":             {"+t", 0, true, true},
		"up again after a fail":   {"+t+", 0, true, false},
		"down just now":           {"+ttt", 0, true, true},
		"down at the bound":       {"+ttt", params.Bound(), true, true},
		"down before it":          {"+ttt", params.Bound() + 1, false, false},
		"down, and passing again": {"+ttt+", 0, true, false},
		"down, and never was up":  {"ttt", 0, false, false},
	} {
		var s State
		live(&s, Context{}, c.story)
		if was, failed := s.Suspect(params, s.Since.Add(c.after)); was != c.was || failed != c.failed {
			t.Errorf("%s: was passing %v, failed %v, want %v, %v", name, was, failed, c.was, c.failed)
		}
	}
}

func TestSettled(t *testing.T) {
	for story, want := range map[string]bool{"": false, "t": false, "+": true, "+t": false, "+ttt": true, "+ttt+": false} {
		var s State
		live(&s, Context{}, story)
		if s.Settled() != want {
			t.Errorf("%q: settled %v, want %v", story, s.Settled(), want)
		}
	}
}

// What checks of one address say of themselves is added: it is being confirmed if
// one is, was Up if all were, and was left as often as the one that was most often.
func TestWorstAddsUp(t *testing.T) {
	for _, up := range []bool{false, true} {
		for _, other := range []bool{false, true} {
			a, b := View{Verdict: Down, WasUp: up, Confirming: up}, View{Verdict: Up, WasUp: other, Confirming: other}
			if w := Worst(a, b); w.WasUp != (up && other) || w.Confirming != (up || other) {
				t.Errorf("%v and %v: was Up %v, confirming %v", up, other, w.WasUp, w.Confirming)
			}
		}
	}
	one, two := Ejections{t0}, Ejections{t0, t0.Add(1)}
	for _, v := range [][2]View{{{Verdict: Down, Ejected: one}, {Verdict: Up, Ejected: two}}, {{Verdict: Down, Ejected: two}, {Verdict: Up, Ejected: one}}} {
		if w := Worst(v[0], v[1]); w.Verdict != Down || len(w.Ejected) != 2 {
			t.Errorf("%v with %d ejections, want Down with 2", w.Verdict, len(w.Ejected))
		}
	}
}

func TestUntilWhenTheBrakeHolds(t *testing.T) {
	b := Brake{Since: t0}
	if got := b.Until(time.Minute); !got.IsZero() {
		t.Errorf("a brake that is off holds until %v", got)
	}
	b.On = true
	if got := b.Until(time.Minute); !got.Equal(t0.Add(time.Minute)) {
		t.Errorf("holds until %v", got)
	}
}
