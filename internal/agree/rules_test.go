package agree

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// said is one voice of each zone.
func said(v health.Verdict, zones ...string) (all []Voice) {
	for _, z := range zones {
		all = append(all, Voice{z, v, health.CauseTimeout})
	}
	return all
}

func view(v health.Verdict) health.View {
	return health.View{Verdict: v, Since: t0, WasUp: v == health.Up}
}

// A Down that others contradict waits for all of Hold, shows that it waits, and
// counts then; with a sick observer it never does, and does not wait for ever.
func TestALocalDownWaitsForHold(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a := f.members[0]
	if a.state.View().Confirming {
		t.Error("confirming in peace")
	}
	f.see(health.Down, a)
	for range 9 {
		f.run(1)
		if a.word() != "up" || !a.state.View().Confirming || !a.state.Apart() {
			t.Fatalf("within Hold: %s, %+v", a.word(), a.state.View())
		}
	}
	f.run(1)
	if a.word() != "doubtful" || a.state.View().Confirming {
		t.Errorf("after Hold: %s, %+v", a.word(), a.state.View())
	}
	f = newFleet(t, "a", "b", "c")
	f.members[0].sick = true
	f.see(health.Down, f.members[0])
	f.run(10)
	if v := f.members[0].state.View(); v.Verdict != health.Up || v.Confirming {
		t.Errorf("sick: %+v", v)
	}
}

// What the probes confirm is confirming for all to see.
func TestConfirmingIsPassedOn(t *testing.T) {
	var s State
	mine := view(health.Up)
	mine.Confirming = true
	s.Step(Input{Mine: mine, Others: said(health.Up, "b"), Contact: Agreeing, Zone: "a", Sound: true}, t0)
	if !s.View().Confirming {
		t.Error("it is not")
	}
}

// A majority that said Down is not forgotten when it falls silent.
func TestWhatWasAgreedStandsWhileTheOthersAreSilent(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.see(health.Down, f.members[1:]...)
	f.run(3)
	f.frozen = f.second
	for range 60 {
		f.run(1)
		if f.members[0].word() != "down" {
			t.Fatalf("%d s after the last read: %s", f.second-f.frozen, f.members[0].word())
		}
	}
}

// A Down that another one had a part in stays Down for all, also after that one was
// not heard for a while and says Up now: nobody decided it alone.
func TestADownThatWasAgreedIsKept(t *testing.T) {
	for _, between := range []Contact{Agreeing, Alone, Forgotten} {
		var s State
		in := Input{Mine: view(health.Up), Others: said(health.Up, "b"), Contact: Agreeing, Zone: "a", Sound: true}
		s.Step(in, t0.Add(-time.Minute))
		in.Mine, in.Others = view(health.Down), said(health.Down, "b")
		s.Step(in, t0)
		in.Others, in.Contact = nil, between
		s.Step(in, t0.Add(time.Second))
		in.Others, in.Contact = said(health.Up, "b"), Agreeing
		s.Step(in, t0.Add(2*time.Second))
		if v := s.View(); v.Verdict != health.Down || v.Elsewhere {
			t.Errorf("%v: %+v", between, v)
		}
	}
}

// The first local verdict is taken whole; later ones add to what was agreed, whose
// ejections are not forgotten.
func TestWhatIsAgreedKeepsItsHistory(t *testing.T) {
	var s State
	mine := health.View{Verdict: health.Up, Since: t0.Add(-time.Hour), WasUp: true, Ejected: health.Ejections{t0.Add(-2 * time.Hour)}}
	in := Input{Mine: mine, Contact: Alone, Zone: "a", Sound: true}
	s.Step(in, t0)
	if v := s.View(); len(v.Ejected) != 1 || !v.Since.Equal(mine.Since) {
		t.Fatalf("first: %+v", v)
	}
	in.Contact, in.Others = Agreeing, said(health.Down, "b", "c")
	s.Step(in, t0.Add(time.Second))
	in.Others = said(health.Up, "b", "c")
	s.Step(in, t0.Add(2*time.Second))
	in.Contact, in.Others, in.Mine = Alone, nil, health.View{Verdict: health.Down, Since: t0.Add(3 * time.Second), WasUp: true}
	s.Step(in, t0.Add(3*time.Second))
	if v := s.View(); len(v.Ejected) != 3 {
		t.Errorf("%d ejections, want that of before, that of the others and its own", len(v.Ejected))
	}
}

// Whether it was ever Up is what anybody saw, and what was Down is told of Unknown
// only.
func TestWhatWasSeenBefore(t *testing.T) {
	for name, c := range map[string]struct {
		mine   health.View
		others health.Verdict
		want   bool
	}{
		"nobody":     {health.View{}, health.Down, false},
		"this one":   {health.View{WasUp: true}, health.Down, true},
		"the others": {health.View{}, health.Up, true},
	} {
		var s State
		s.Step(Input{Mine: c.mine, Others: said(c.others, "b", "c"), Contact: Agreeing, Zone: "a", Sound: true}, t0)
		if got := s.View().WasUp; got != c.want {
			t.Errorf("%s saw it Up: %v", name, got)
		}
	}
	var s State
	doubt := health.View{Since: t0, WasDown: true}
	s.Step(Input{Mine: doubt, Contact: Alone, Sound: true}, t0)
	if !s.View().WasDown {
		t.Error("Unknown has forgotten that it was Down")
	}
	s.Step(Input{Mine: doubt, Others: said(health.Up, "b", "c"), Contact: Agreeing, Sound: true}, t0)
	if s.View().WasDown {
		t.Error("Up says that it was Down")
	}
}

// Who draws the highest number of its zone probes, and then the highest of all: the
// numbers belong to what observers of two versions must have in common.
func TestTheHighestNumbersProbe(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 500 {
		tm := NewTeam(anyTeam(r), Least)
		got := tm.Of(r.Uint64(), nil)
		best, others := map[int]uint64{}, []uint64{}
		for i, d := range tm.drawn {
			best[tm.members[i].zone] = max(best[tm.members[i].zone], d)
		}
		chosen := []uint64{}
		for i, d := range tm.drawn {
			switch {
			case d == 0 || d == best[tm.members[i].zone]:
			case slices.Contains(got, i):
				chosen = append(chosen, d)
			default:
				others = append(others, d)
			}
			if d > 0 && d == best[tm.members[i].zone] && !slices.Contains(got, i) {
				t.Fatalf("%s drew the highest number of its zone and does not probe", tm.Name(i))
			}
		}
		if len(chosen) > 0 && len(others) > 0 && slices.Min(chosen) < slices.Max(others) {
			t.Fatal("somebody drew a higher number and does not probe")
		}
	}
}

func TestFind(t *testing.T) {
	tm := NewTeam(team("a", "b", "c"), Least)
	if tm.Find("r2") != 1 || tm.Find("r9") != -1 || tm.Size() != 3 {
		t.Errorf("r2 is %d, r9 is %d, of %d", tm.Find("r2"), tm.Find("r9"), tm.Size())
	}
}
