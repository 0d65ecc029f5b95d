package steer

import (
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

// A single writer is not left for what one observer alone sees, in a hold-down's time
// after an earlier failure either.
func TestAWriterStaysForOneWord(t *testing.T) {
	for name, lone := range map[string]bool{"seen from here only": false, "told by one other": true} {
		p := small("aws/a", "gcp/b")
		p.Services[0].SingleWriter, p.Services[0].Failback.Manual = true, true
		p.Services[0].HoldDown = HoldDown{Step: 30 * time.Second, Max: 15 * time.Minute, Window: 30 * time.Minute}
		p.Index()
		views := up(2)
		views[0].Ejected = health.Ejections{t0.Add(-10 * time.Minute)}
		s := Build(Input{Plan: p, Now: t0.Add(time.Hour), Checks: up(2)})
		views[0].Verdict, views[0].Cause, views[0].Since, views[0].Elsewhere, views[0].Lone = health.Down, health.CauseTimeout, t0, true, lone
		s = Build(Input{Plan: p, Now: t0.Add(time.Second), Checks: views, Prev: s, All: true})
		if st := s.State(0); st.Memory.Used != 1 || st.Pools[0].Ends[0].Why != WhyUp {
			t.Errorf("%s: uses pools %b, %v", name, st.Memory.Used, st.Pools[0].Ends[0].Why)
		}
		p.Services[0].SingleWriter = false
		s = Build(Input{Plan: p, Now: t0.Add(2 * time.Second), Checks: views, Prev: s, All: true})
		want := map[bool]Why{false: WhyHere, true: WhyLone}[lone]
		if st := s.State(0); st.Memory.Used != 2 || st.Pools[0].Ends[0].Why != want || st.Pools[0].Standing != Doubtful {
			t.Errorf("%s: another service uses pools %b, %v", name, st.Memory.Used, st.Pools[0].Ends[0].Why)
		}
	}
}
