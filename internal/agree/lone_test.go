package agree

import (
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Without a verdict here for long, the word of one other is a doubt, counts as no ejection,
// and ends nothing that more than one saw.
func TestTheWordOfOneOther(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s State
	step := func(after time.Duration, mine health.Verdict, others ...Voice) health.View {
		at = at.Add(after)
		s.Step(Input{Mine: health.View{Verdict: mine}, Others: others, Contact: Agreeing, Zone: "a", Sound: true}, at)
		return s.View()
	}
	up := func(zone string) Voice { return Voice{Zone: zone, Verdict: health.Up} }
	down := func(zone string) Voice { return Voice{Zone: zone, Verdict: health.Down, Cause: health.CauseTimeout} }
	want := func(what string, v health.View, verdict health.Verdict, lone bool, ejections int) {
		t.Helper()
		if v.Verdict != verdict || v.Lone != lone || v.Elsewhere != lone || len(v.Ejected) != ejections {
			t.Errorf("%s: %+v", what, v)
		}
	}
	want("all well", step(0, health.Up, up("b"), up("c")), health.Up, false, 0)
	step(time.Second, health.Unknown, up("b"))
	want("no verdict, and one says Down", step(time.Minute, health.Unknown, down("b")), health.Up, false, 0)
	want("for long", step(Forget+time.Second, health.Unknown, down("b")), health.Down, true, 0)
	want("and again Up", step(time.Second, health.Unknown, up("b")), health.Up, false, 0)
	want("one says Down", step(time.Second, health.Unknown, down("b")), health.Down, true, 0)
	want("and another zone", step(time.Second, health.Unknown, down("b"), down("c")), health.Down, false, 1)
	want("of which one is left", step(time.Second, health.Unknown, down("b")), health.Down, false, 1)
	want("and changes its mind", step(time.Second, health.Unknown, up("b")), health.Down, false, 1)
	for range 9 { // it is stepped as time goes on
		want("and stays with it", step(time.Minute, health.Unknown, up("b")), health.Down, false, 1)
	}
	want("for long", step(time.Minute+time.Second, health.Unknown, up("b")), health.Down, true, 1)
	want("for longer", step(time.Hour, health.Unknown, up("b")), health.Down, true, 1)
	want("and back", step(time.Second, health.Unknown, down("b")), health.Down, false, 1)
	want("as another zone", step(time.Second, health.Unknown, down("b"), down("c")), health.Down, false, 1)
	want("as two do", step(time.Second, health.Unknown, up("b"), up("b")), health.Up, false, 1)
	want("two of one zone", step(time.Second, health.Unknown, down("b"), down("b")), health.Down, false, 2)
	want("seen here", step(time.Second, health.Up, up("b"), up("b")), health.Up, false, 2)
}

// On a check that others probe for this observer, those of them that say nothing abstain.
func TestWhoIsToProbeAndSaysNothing(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	down := []Voice{{Zone: "c", Verdict: health.Down}}
	for name, c := range map[string]struct {
		missing []Voice
		want    health.Verdict
	}{
		"none": {nil, health.Down}, "of one other zone": {[]Voice{{Zone: "a"}}, health.Up}, "of its own zone": {[]Voice{{Zone: "c"}}, health.Up},
		"of two": {[]Voice{{Zone: "a"}, {Zone: "b"}}, health.Up},
	} {
		var s State
		s.Step(Input{Mine: health.View{Verdict: health.Up}, Contact: Alone, Zone: "a"}, at)
		s.Step(Input{Others: down, Doubting: c.missing, Contact: Agreeing, Zone: "a", Blind: true, Sound: true}, at.Add(time.Minute))
		if got := s.View().Verdict; got != c.want {
			t.Errorf("missing %s: %v", name, got)
		}
	}
}
