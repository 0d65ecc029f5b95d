package steer

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// told is what a snapshot says that a service is answered from, and its changes.
type told struct {
	from, to       uint64 // of the one change that there is
	moves, would   int
	now            uint64
	refused, fixed bool
}

// outage builds a service while all is well, then with some checks timed out.
func outage(edit func(*Service), dead ...int) (*Snapshot, told) {
	p := small("aws/a", "gcp/b", "azure/c")
	edit(&p.Services[0])
	p.Index()
	s := Build(Input{Plan: p, Now: t0, Checks: up(3)})
	s = Build(Input{Plan: p, Now: t0.Add(time.Minute), Checks: down(up(3), health.CauseTimeout, dead...), Prev: s, All: true})
	st := s.State(0)
	out := told{moves: len(s.Changes), would: len(s.Would), now: st.From, refused: st.Refused, fixed: st.Fixed}
	if out.moves > 0 {
		out.from, out.to = s.Changes[0].From, s.Changes[0].To
	}
	return s, out
}

// A change is a change of what is answered, and nothing else.
func TestChangesAreOfAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(*Service)
		dead []int
		want told
	}{
		"moved": {func(*Service) {}, []int{0}, told{from: 0b1, to: 0b10, moves: 1, now: 0b10}},
		"observed": {
			func(s *Service) { s.Observe = true },
			[]int{0},
			told{would: 1, now: 0b1},
		},
		"observed, all dark": {
			func(s *Service) { s.Observe, s.LastResort.Mode = true, ResortNone },
			[]int{0, 1, 2},
			told{now: 0b1},
		},
		"last resort none": {
			func(s *Service) { s.LastResort.Mode = ResortNone },
			[]int{0, 1, 2},
			told{from: 0b1, moves: 1, refused: true},
		},
		"last resort all": {
			func(s *Service) { s.LastResort.Mode = ResortAll },
			[]int{0, 1, 2},
			told{from: 0b1, to: 0b111, moves: 1, now: 0b111},
		},
		"last resort addresses": {
			func(s *Service) {
				s.LastResort = LastResort{Mode: ResortAddrs, Addrs: []netip.Addr{netip.MustParseAddr("10.9.9.9")}}
			},
			[]int{0, 1, 2},
			told{from: 0b1, moves: 1, fixed: true},
		},
	} {
		if _, got := outage(tt.edit, tt.dead...); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
	}
}

// Names that are looked up for the first time move nothing.
func TestALookupIsNoMove(t *testing.T) {
	for _, observe := range []bool{false, true} {
		p := small("aws/a")
		s := &p.Services[0]
		s.Observe = observe
		s.Pools[0].Endpoints[0] = Endpoint{Label: "lb.example.net", Target: "lb.example.net.", Weight: 1, Enabled: true, Unresolved: true}
		p.Index()
		snap := Build(Input{Plan: p, Now: t0, Checks: up(1)})
		if st := snap.State(0); !st.Refused || st.From != 0 || snap.Answered(0) != 1 {
			t.Errorf("observe %v: refused %v, from %b, answered %b", observe, st.Refused, st.From, snap.Answered(0))
		}
	}
}

// What is drained under a freeze is not answered, and nothing waits for the end of
// the freeze because of that.
func TestADrainUnderAFreeze(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Policy = Weighted
	p.Index()
	freeze := []Freeze{{Until: t0.Add(time.Hour)}}
	s := Build(Input{Plan: p, Now: t0, Checks: up(2), Freezes: freeze})
	s = Build(Input{
		Plan: p, Now: t0.Add(time.Second), Checks: up(2), Prev: s, All: true, Freezes: freeze,
		Overrides: []Override{{Target: "aws/a", Kind: Drain}},
	})
	if st := s.State(0); st.From != 0b10 || st.Pending {
		t.Errorf("answers from pools %b, pending %v; want the second, and nothing pending", st.From, st.Pending)
	}
	if got := s.Changes; len(got) != 1 || got[0].From != 0b11 || got[0].To != 0b10 {
		t.Errorf("changes %+v", got)
	}
}

// A freeze keeps what is in use; that it is dead is panic all the same.
func TestFrozenAtWhatIsDead(t *testing.T) {
	for name, tt := range map[string]struct {
		policy Policy
		cause  health.Cause
		dead   []int
		stuck  bool
		panics bool
		ttl    uint32
	}{
		"well":              {Failover, health.CauseStatus, nil, false, false, 30},
		"sick":              {Failover, health.CauseStatus, []int{0}, true, true, 5},
		"dark":              {Failover, health.CauseTimeout, []int{0}, true, true, 5},
		"nothing better":    {Failover, health.CauseTimeout, []int{0, 1, 2}, false, true, 5},
		"one of many":       {All, health.CauseTimeout, []int{0}, true, true, 5},
		"another than used": {Failover, health.CauseTimeout, []int{1}, false, false, 30},
	} {
		p := small("aws/a", "gcp/b", "azure/c")
		s := &p.Services[0]
		s.Policy, s.Settled, s.Changing = tt.policy, 30*time.Second, 5*time.Second
		p.Index()
		freeze := []Freeze{{Until: t0.Add(time.Hour), Target: s.Name}}
		snap := Build(Input{Plan: p, Now: t0, Checks: up(3), Freezes: freeze})
		snap = Build(Input{Plan: p, Now: t0.Add(time.Minute), Checks: down(up(3), tt.cause, tt.dead...), Prev: snap, All: true, Freezes: freeze})
		st, d := snap.State(0), snap.Decide(Query{Client: client(1)})
		if st.Stuck != tt.stuck || st.Panic != tt.panics || d.Panic != tt.panics || d.Reason != ReasonFrozen || d.TTL > tt.ttl || d.TTL < tt.ttl*4/5 {
			t.Errorf("%s: stuck %v, panic %v, answered with panic %v, reason %v, TTL %d", name, st.Stuck, st.Panic, d.Panic, d.Reason, d.TTL)
		}
		if tt.stuck && tt.policy == Failover && st.Thawed != 0b10 {
			t.Errorf("%s: without the freeze pools %b", name, st.Thawed)
		}
	}
}

// Of an override its own age is said, and beside it that of the verdict.
func TestExplainSaysHowOldAnOverrideIs(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].HoldDown = HoldDown{Step: 30 * time.Second, Max: time.Minute, Window: time.Hour}
	p.Index()
	views := up(2)
	for i := range views {
		views[i].Since = t0.Add(-75 * time.Second)
	}
	says := func(s *Snapshot, now time.Time) string {
		return strings.TrimSpace(s.Explain(Query{Client: client(1)}, now).Steps[2])
	}
	drain := Override{Target: "aws/a", Kind: Drain, Made: t0, Until: t0.Add(time.Minute)}
	s := Build(Input{Plan: p, Now: t0, Checks: views, Overrides: []Override{drain}})
	if got, want := says(s, t0.Add(time.Second)), "10.0.0.0 none: drained for 1s, its checks: up for 1m16s, by the override on aws/a"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	now := t0.Add(2 * time.Second)
	s = Build(Input{Plan: p, Now: now, Checks: views, Prev: s, All: true})
	if got, want := says(s, now.Add(time.Second)), "10.0.0.0 held: override ended 1s ago, its checks: up for 1m18s, until 29s from now"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
