package steer

import (
	"testing"
	"time"
)

// TestAnOverrideThatGoesOn holds that it keeps its age if it does the same as before, and
// has that of its making if it does not, or the earlier one was over.
func TestAnOverrideThatGoesOn(t *testing.T) {
	now := t0.Add(time.Hour)
	next := Override{Target: "aws/a", Kind: Drain, Made: now, Until: now.Add(time.Hour)}
	for name, c := range map[string]struct {
		old  Override
		want time.Time
	}{
		"made longer":        {Override{Kind: Drain, Made: t0, Until: now.Add(time.Minute)}, t0},
		"without end before": {Override{Kind: Drain, Made: t0}, t0},
		"another kind":       {Override{Kind: ForceDown, Made: t0}, now},
		"a reserve before":   {Override{Kind: Drain, Reserve: true, Made: t0}, now},
		"over by then":       {Override{Kind: Drain, Made: t0, Until: now}, now},
		"of unknown age":     {Override{Kind: Drain}, now},
	} {
		if got := next.After(&c.old, now); !got.Made.Equal(c.want) || !got.Until.Equal(next.Until) {
			t.Errorf("%s: %+v, want made %v", name, got, c.want)
		}
	}
}

// TestWhatAFreezeHolds holds that it is all services, one, or those of a region.
func TestWhatAFreezeHolds(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services = append(p.Services, p.Services[0])
	p.Services[1].Name, p.Services[1].Pools = "t.test.", p.Services[1].Pools[:1]
	p.Index()
	for target, want := range map[string][2]bool{
		"": {true, true}, "s.test.": {true, false}, "t.test.": {false, true}, "aws/a": {true, true}, "gcp/b": {true, false}, "azure/c": {false, false},
	} {
		f := Freeze{Target: target}
		if got := [2]bool{f.Holds(p, 0), f.Holds(p, 1)}; got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
}

// TestOverridesLeaveTheLastSnapshotAlone holds that what it remembers of endpoints is not
// changed by an override that begins or ends.
func TestOverridesLeaveTheLastSnapshotAlone(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	first := y.s
	y.then(time.Minute, up(2), by(Override{Target: "aws/a", Kind: Drain}))
	second := y.s
	third := y.then(2*time.Minute, up(2))
	for i, c := range []struct {
		m    *Memory
		want EndpointMemory
	}{
		{&first.State(0).Memory, EndpointMemory{Label: "10.0.0.0"}},
		{&second.State(0).Memory, EndpointMemory{Label: "10.0.0.0", Forced: true}},
		{&third.Memory, EndpointMemory{Label: "10.0.0.0", Released: t0.Add(2 * time.Minute)}},
	} {
		if got := c.m.Pools[0].Ends[0]; got != c.want {
			t.Errorf("snapshot %d remembers %+v, want %+v", i+1, got, c.want)
		}
	}
}
