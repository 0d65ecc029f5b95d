package agree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// team is observers in the given zones.
func team(zones ...string) (all []Member) {
	for i, z := range zones {
		all = append(all, Member{fmt.Sprint("r", i+1), z, AllBuckets})
	}
	return all
}

// anyTeam is a random one: up to 40 observers in up to 8 zones, some of which judge
// other checks in some buckets.
func anyTeam(r *rand.Rand) []Member {
	var zones []string
	for range 1 + r.IntN(40) {
		zones = append(zones, fmt.Sprint("z", r.IntN(1+r.IntN(8))))
	}
	all := team(zones...)
	for i := range all {
		if r.IntN(4) == 0 {
			all[i].Alike = Buckets(r.Uint64())
		}
	}
	return all
}

// probers names who probes a check.
func probers(t *Team, id uint64) (names []string) {
	for _, m := range t.Of(id, nil) {
		names = append(names, t.Name(m))
	}
	return names
}

func without(all []Member, i int) []Member { return slices.Delete(slices.Clone(all), i, i+1) }

// Every check is probed by as many as there should be, and in every zone.
func TestEveryCheckIsCovered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		all, least := anyTeam(r), Least+r.IntN(3)
		team := NewTeam(all, least)
		for range 50 {
			id := r.Uint64()
			zones, could := map[string]bool{}, 0
			for _, m := range all {
				if m.Alike&BucketOf(id) != 0 {
					zones[m.Zone] = true
					could++
				}
			}
			got := team.Of(id, nil)
			if want := min(could, max(least, len(zones))); len(got) != want {
				t.Fatalf("%d of %d observers in %d zones probe a check, want %d", len(got), could, len(zones), want)
			}
			for _, m := range got {
				at := all[slices.IndexFunc(all, func(m2 Member) bool { return m2.Name == team.Name(m) })]
				if delete(zones, at.Zone); at.Alike&BucketOf(id) == 0 {
					t.Fatal("somebody probes a check whose bucket differs")
				}
				if !team.Probes(m, id) {
					t.Fatal("Of and Probes differ")
				}
			}
			if len(zones) > 0 {
				t.Fatalf("nobody in %v probes a check", zones)
			}
		}
	}
}

// In whatever order observers are heard, they divide alike; and what they say of
// each other's buckets is the same from either side.
func TestAllDivideAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		all := anyTeam(r)
		shuffled := slices.Clone(all)
		r.Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		a, b := NewTeam(all, Least), NewTeam(shuffled, Least)
		if !a.Same(b) || a.Same(NewTeam(all, Least+1)) || a.Same(NewTeam(without(all, 0), Least)) || a.Same(nil) {
			t.Fatal("teams are not compared well")
		}
		for range 50 {
			if id := r.Uint64(); !slices.Equal(probers(a, id), probers(b, id)) {
				t.Fatalf("%v and %v", probers(a, id), probers(b, id))
			}
		}
	}
}

// Who leaves hands over what it had and nothing else moves: whoever probed a check
// besides goes on, and at most one comes in its place. Who comes is the same, read
// backwards.
func TestOnlyWhatMustMoves(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		all := anyTeam(r)
		gone := r.IntN(len(all))
		before, after := NewTeam(all, Least), NewTeam(without(all, gone), Least)
		for range 50 {
			id := r.Uint64()
			was, now := probers(before, id), probers(after, id)
			if !slices.Contains(was, all[gone].Name) {
				if !slices.Equal(was, now) {
					t.Fatalf("%v, then %v, though %s did not probe it", was, now, all[gone].Name)
				}
				continue
			}
			for _, name := range was {
				if name != all[gone].Name && !slices.Contains(now, name) {
					t.Fatalf("%v, then %v: %s ceases as well", was, now, name)
				}
			}
			if len(now) > len(was) {
				t.Fatalf("%v, then %v", was, now)
			}
		}
	}
}

// The load is even where zones are: with 10,000 checks nobody probes a tenth more
// than its share, also where names and IDs differ by a bit.
func TestTheLoadIsEven(t *testing.T) {
	for _, zones := range [][]string{
		{"a", "a", "a", "b", "b", "b", "c", "c", "c"},
		{"a", "a", "a", "a", "a", "a", "a", "a", "a", "a"},
		{"a", "a", "a", "a", "b", "b", "b", "b"},
	} {
		all := team(zones...)
		tm := NewTeam(all, Least)
		const checks = 10_000
		load := make([]int, len(all))
		for id := range uint64(checks) {
			for _, m := range tm.Of(id, nil) {
				load[m]++
			}
		}
		share := checks * Least / len(all)
		for m, n := range load {
			if n < share*9/10 || n > share*11/10 {
				t.Errorf("%d zones: %s probes %d checks, its share is %d", len(tm.best), tm.Name(m), n, share)
			}
		}
	}
}

func TestWhenChecksAreDivided(t *testing.T) {
	for _, c := range []struct {
		observers int
		rate      float64
		want      bool
	}{{1, 1e6, false}, {5, 1e6, false}, {6, 1000, false}, {6, 1000.1, true}, {50, 20, false}} {
		if got := Divided(c.observers, c.rate, Easy); got != c.want {
			t.Errorf("%d observers, %v probes/s: %v", c.observers, c.rate, got)
		}
	}
}

// A mark is read back of every check, in whatever order the reader has them, and
// in no bucket where the two have not the same number of checks.
func TestMarks(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	ids := make([]uint64, 1000)
	for i := range ids {
		ids[i] = r.Uint64()
	}
	all := func(int) bool { return true }
	said := NewRoster(ids, all).Mark(func(i int) bool { return ids[i]%3 == 0 })
	theirs := slices.Clone(ids)
	r.Shuffle(len(ids), func(i, j int) { theirs[i], theirs[j] = theirs[j], theirs[i] })
	reader := NewRoster(theirs, all)
	if reader.Sound(said) != AllBuckets {
		t.Fatal("not sound")
	}
	for i, id := range theirs {
		if reader.Marked(said, i) != (id%3 == 0) {
			t.Fatalf("check %d", i)
		}
	}
	said[5] = append(said[5], 0)
	said = append(said[:63:63], nil, nil)
	if got := reader.Sound(said); got != AllBuckets&^(1<<5)&^(1<<63) {
		t.Errorf("sound: %x", got)
	}
	if reader.Sound(nil) != 0 || reader.Sound(Marks{}) != 0 {
		t.Error("no marks are sound")
	}
	none := NewRoster(ids, func(int) bool { return false })
	if m := none.Mark(all); none.Marked(m, 3) || len(m) != NumBuckets {
		t.Error("a check in no bucket is marked")
	}
}

// What is not probed here, or has not settled, takes over what is agreed, whatever
// becomes of the others, and never speaks.
func TestBlindTakesOver(t *testing.T) {
	up := health.View{Verdict: health.Up, Since: t0, WasUp: true}
	down := health.View{Verdict: health.Down, Since: t0, Cause: health.CauseTimeout}
	say := func(v health.Verdict, zones ...string) (all []Voice) {
		for _, z := range zones {
			all = append(all, Voice{z, v, health.CauseTimeout})
		}
		return all
	}
	for _, contact := range []Contact{Agreeing, Alone, Silent, Forgotten} {
		var s State
		s.Step(Input{Mine: up, Others: say(health.Up, "a", "b", "c"), Contact: Agreeing, Sound: true}, t0)
		s.Step(Input{Mine: up, Others: say(health.Down, "a", "b", "c"), Contact: Agreeing, Sound: true, Blind: true}, t0)
		if s.View().Verdict != health.Down || s.View().Elsewhere || s.Apart() {
			t.Fatalf("agreed: %+v", s.View())
		}
		s.Step(Input{Mine: up, Contact: contact, Sound: true, Blind: true}, t0.Add(2*Hold))
		if s.View().Verdict != health.Down {
			t.Errorf("%v: %v before it settled", contact, s.View().Verdict)
		}
		s.Step(Input{Mine: up, Contact: contact, Sound: true}, t0.Add(2*Hold+1))
		if s.View().Verdict != health.Up {
			t.Errorf("%v: %v when it settled, and nobody else speaks", contact, s.View().Verdict)
		}
	}
	var s State
	s.Step(Input{Mine: down, Others: say(health.Down, "a", "b"), Contact: Agreeing, Sound: true, Blind: true}, t0)
	s.Step(Input{Mine: down, Others: say(health.Up, "a", "b"), Contact: Agreeing, Sound: true, Blind: true}, t0.Add(30*time.Second))
	if v := s.View(); v.Verdict != health.Up || v.Elsewhere {
		t.Errorf("what was taken over is no doubt: %+v", v)
	}
}
