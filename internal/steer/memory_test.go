package steer

import (
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// TestRestartWithPoolsInAnotherOrder: an edit that comes with a restart must not
// make what is remembered of one region speak of another.
func TestRestartWithPoolsInAnotherOrder(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Failback.Manual, p.Services[0].SingleWriter = true, true
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(2)})
	s = Build(Input{Plan: p, Now: t0.Add(time.Minute), Checks: down(up(2), health.CauseTimeout, 0), Prev: s, All: true})
	s = Build(Input{Plan: p, Now: t0.Add(time.Hour), Checks: up(2), Prev: s, All: true})
	if got := answer(s); got != "10.0.0.1" {
		t.Fatalf("in use: %s, want the second pool until an operator asks", got)
	}
	edited := small("aws/a", "gcp/b")
	edited.Services[0].Failback.Manual, edited.Services[0].SingleWriter = true, true
	pools := edited.Services[0].Pools
	pools[0], pools[1] = pools[1], pools[0]
	edited.Index()
	kept := map[string]Memory{"s.test.": s.State(0).Memory}
	s = Build(Input{Plan: edited, Now: t0.Add(61 * time.Minute), Checks: up(2), Kept: kept})
	if got := answer(s); got != "10.0.0.1" {
		t.Errorf("after the restart: %s, want the region that was in use", got)
	}
	third := small("aws/a", "gcp/b", "azure/c")
	third.Services[0].Failback.Manual, third.Services[0].SingleWriter = true, true
	third.Index()
	s = Build(Input{Plan: third, Now: t0.Add(61 * time.Minute), Checks: up(3), Kept: kept})
	if got := answer(s); got != "10.0.0.1" {
		t.Errorf("with a pool added: %s, want the region that was in use", got)
	}
}

// TestMemoryOfAnotherResolver: who knows a service with other pools, as while an edit
// is rolled out or a catalog tells one of them sooner, says something of the regions
// that both know, and nothing of the others.
func TestMemoryOfAnotherResolver(t *testing.T) {
	build := func(n int) *Snapshot {
		p := small([]string{"aws/a", "gcp/b", "azure/c"}[:n]...)
		p.Services[0].Failback.Manual, p.Services[0].SingleWriter = true, true
		p.Index()
		return Build(Input{Plan: p, Now: t0, Checks: up(n)})
	}
	for theirs := 1; theirs <= 3; theirs++ {
		other := build(theirs)
		checks := up(theirs)
		if theirs > 1 { // they left the first region, and wait for an operator
			checks = down(checks, health.CauseTimeout, 0)
		}
		other = Build(Input{Plan: other.Plan, Now: t0.Add(time.Minute), Checks: checks, Prev: other, All: true})
		for mine := 1; mine <= 3; mine++ {
			s := build(mine).WithMemories(map[string]Memory{"s.test.": other.State(0).Memory})
			next := build(mine).Plan
			s = Build(Input{Plan: next, Now: t0.Add(2 * time.Minute), Checks: up(mine), Prev: s, All: true})
			want := "10.0.0.1"
			if theirs == 1 || mine == 1 {
				want = "10.0.0.0"
			}
			if got := answer(s); got != want {
				t.Errorf("%d pools, told by one with %d: in use %s, want %s", mine, theirs, got, want)
			}
		}
	}
}

// A hold-down that is longer than the failback takes no step of the ramp away.
func TestRampBeginsWhenTheHoldDownIsOver(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Failback = Failback{After: 20 * time.Second, Max: time.Minute, Ramp: []int{10, 50, 100}, Step: 8 * time.Second}
	p.Services[0].HoldDown = HoldDown{Step: 30 * time.Second, Max: 15 * time.Minute, Window: 30 * time.Minute}
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(2)})
	s = Build(Input{Plan: p, Now: t0, Checks: down(up(2), health.CauseTimeout, 0), Prev: s, All: true})
	well := up(2)
	well[0].Since, well[0].Ejected = t0.Add(time.Minute), health.Ejections{t0}
	for after, want := range map[time.Duration]int{0: 0, 29 * time.Second: 0, 30 * time.Second: 10, 38 * time.Second: 50, 46 * time.Second: 100} {
		at := t0.Add(time.Minute)
		now := Build(Input{Plan: p, Now: at, Checks: well, Prev: s, All: true})
		now = Build(Input{Plan: p, Now: at.Add(after), Checks: well, Prev: now, All: true})
		if got := now.State(0).Pools[0].Share; got != want {
			t.Errorf("%v after it is up: %d %% of the clients, want %d", after, got, want)
		}
	}
}

// A region in use that failed before, and was held for it, is left neither for what one
// observer alone sees, nor because a verdict is lost and found again, nor because such a
// word ends.
func TestAnEjectionHoldsOnce(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services = append(p.Services, p.Services[0])
	p.Services[0].Name, p.Services[0].SingleWriter, p.Services[0].Failback.Manual = "w.test.", true, true
	for i := range p.Services {
		p.Services[i].HoldDown = HoldDown{Step: 30 * time.Second, Max: 15 * time.Minute, Window: 30 * time.Minute}
	}
	p.Index()
	views := up(2)
	views[0].Ejected, views[0].Since = health.Ejections{t0.Add(-10 * time.Minute)}, t0.Add(-9*time.Minute)
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	at := t0
	is := func(what string, verdict health.Verdict, elsewhere, lone bool, writer, other uint64) {
		t.Helper()
		at = at.Add(time.Minute)
		views := slices.Clone(views)
		views[0].Verdict, views[0].Since, views[0].Elsewhere, views[0].Lone = verdict, at, elsewhere, lone
		s = Build(Input{Plan: p, Now: at, Checks: views, Prev: s, All: true})
		if why := s.State(1).Pools[0].Ends[0].Why; elsewhere && why != map[bool]Why{false: WhyHere, true: WhyLone}[lone] {
			t.Errorf("%s: %v", what, why)
		}
		if w, o := s.State(0).Memory.Used, s.State(1).Memory.Used; w != writer || o != other {
			t.Errorf("%s: the writer uses pools %b, the other service %b", what, w, o)
		}
	}
	is("no verdict", health.Unknown, false, false, 1, 1)
	is("up", health.Up, false, false, 1, 1)
	is("down from here only", health.Down, true, false, 1, 2)
	is("up", health.Up, false, false, 1, 1)
	is("down by one other", health.Down, true, true, 1, 2)
	is("up", health.Up, false, false, 1, 1)
	views[0].Ejected = views[0].Ejected.Add(at)
	is("ejected again", health.Up, false, false, 2, 2)
}
