package agree

import (
	"math/rand/v2"
	"testing"

	"github.com/detour-dns/detour/internal/health"
)

// A region dies with the resolver in it. The other one decides alone at once, or
// after the hold while the dead one's session lasts.
func TestTheRegionDiesWithOneOfTwoObservers(t *testing.T) {
	f := newFleet(t, "a", "b")
	a, b := f.members[0], f.members[1]
	a.cutOff = f.second // its session lives on for a while, and says Up
	f.see(health.Down, b)
	if n := f.until(b); n > 10 {
		t.Errorf("left after %d s, local detection apart; at most 10", n)
	}
	f.want("while the session lasts", "up", "doubtful")
	a.gone = true
	f.run(2)
	f.want("when it has ended", "", "down")
	f.see(health.Up, b)
	f.run(1)
	f.want("healed", "", "up")
}

// One of two is upgraded: the other one fails over as if alone.
func TestOneObserverDecidesAlone(t *testing.T) {
	f := newFleet(t, "a", "a")
	f.members[0].gone = true
	f.run(1)
	f.see(health.Down, f.members[1])
	f.run(1)
	f.want("alone", "", "down")
}

// The store dies together with the region: whoever sees the failure acts on it
// within ten seconds, and at once when the silence is known.
func TestTheStoreDiesWithTheRegion(t *testing.T) {
	for _, detected := range []int{1, 8, 13, 16, 40, 700} {
		f := newFleet(t, "b", "c")
		f.frozen = f.second
		f.run(detected)
		f.see(health.Down, f.members...)
		worst := 0
		for _, m := range f.members {
			worst = max(worst, f.until(m))
		}
		if limit := 10; worst > limit || detected > 16 && worst > 1 {
			t.Errorf("detected %d s after the store died: left after %d s more", detected, worst)
		}
		f.see(health.Up, f.members...)
		f.run(1)
		f.want("healed while the store is dead", "up", "up")
		f.frozen = 0
		f.run(5)
		f.want("the store is back", "up", "up")
	}
}

// The store is back, and holds what all said before the region failed. Nobody goes
// back to the region for that.
func TestWhatWasSaidLongAgoMovesNothing(t *testing.T) {
	for _, seen := range []int{1, 4, 8, 20} {
		f := newFleet(t, "a", "b", "b", "c", "c")
		f.frozen = f.second
		f.run(20)
		f.see(health.Down, f.members...)
		f.run(seen)
		f.want("silent", "down", "down", "down", "down", "down")
		f.frozen, f.mute = 0, 5 // read again, and written some seconds later
		for range 20 {
			f.run(1)
			for _, m := range f.members {
				if m.word() == "up" {
					t.Fatalf("seen for %d s: %s goes back to what is dead", seen, m.name)
				}
			}
		}
		f.want("written again", "down", "down", "down", "down", "down")
	}
}

// Three observers in a region that is cut off from the world, two outside. Those
// outside are never steered into it, and lose nothing.
func TestTheMajorityIsCutOff(t *testing.T) {
	outside := newFleet(t, "a", "a", "a", "b", "b") // of an endpoint outside
	outside.see(health.Down, outside.members[:3]...)
	for range 600 {
		outside.run(1)
		if outside.members[3].word() != "up" || outside.members[4].word() != "up" {
			t.Fatal("the cut-off majority took a healthy endpoint from those who reach it")
		}
	}
	outside.want("cut off", "doubtful", "doubtful", "doubtful", "up", "up")
	for _, m := range outside.members[:3] {
		m.sick = true // they have self-checks, which fail
	}
	outside.run(2)

	inside := newFleet(t, "a", "a", "a", "b", "b") // of one in the region
	inside.see(health.Down, inside.members[3:]...)
	if n := max(inside.until(inside.members[3]), inside.until(inside.members[4])); n > 10 {
		t.Errorf("those outside left the region after %d s", n)
	}
	inside.want("cut off", "up", "up", "up", "doubtful", "doubtful")
}

// A lossy path of one observer is its own affair: nobody else moves, and it
// itself does not use what it cannot reach. It ends with its own Up, without an
// ejection.
func TestOneLossyPath(t *testing.T) {
	f := newFleet(t, "a", "b", "c", "d", "e")
	lossy := f.members[3]
	f.see(health.Down, lossy)
	if n := f.until(lossy); n > 10 {
		t.Errorf("doubtful after %d s", n)
	}
	f.run(300)
	f.want("lossy", "up", "up", "up", "doubtful", "up")
	before := lossy.state.agreed
	f.see(health.Up, lossy)
	f.run(1)
	f.want("mended", "up", "up", "up", "up", "up")
	if v := lossy.state.View(); !v.Since.Equal(before.Since) || len(v.Ejected) != 0 {
		t.Errorf("up since %v with %d ejections, want %v and none: it must not wait for a failback", v.Since, len(v.Ejected), before.Since)
	}
}

// An observer whose self-checks fail holds what the others say, however long.
func TestWhoDoubtsItselfBelievesTheOthers(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.members[0].sick = true
	f.see(health.Down, f.members[0])
	f.run(300)
	f.want("sick", "up", "up", "up")
}

// What most zones see Down is Down for all, once.
func TestAgreedDownCountsOneEjection(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.see(health.Down, f.members[0])
	f.run(3)
	f.see(health.Down, f.members[1])
	f.run(3)
	f.want("two of three", "down", "down", "down")
	for _, m := range f.members {
		if n := len(m.state.View().Ejected); n != 1 {
			t.Errorf("%s counts %d ejections, want one", m.name, n)
		}
	}
	f.see(health.Up, f.members[0])
	f.run(3)
	f.want("one of two is back", "up", "doubtful", "up")
}

// Where two zones disagree for long whether something is up again, each uses what
// it can reach.
func TestAnUpIsNeverForbiddenByOneZone(t *testing.T) {
	f := newFleet(t, "a", "b")
	f.see(health.Down, f.members...)
	f.run(5)
	f.want("down", "down", "down")
	f.see(health.Up, f.members[0])
	f.run(11)
	f.want("a reaches it again", "up", "down")
}

// What one of two decided alone, before the other was heard, is only its own once
// the other one is, and contradicts it.
func TestADownDecidedAloneIsNotKept(t *testing.T) {
	for _, how := range []string{"alone", "silent", "strange"} {
		f := newFleet(t, "a", "b")
		a, b := f.members[0], f.members[1]
		switch how {
		case "alone":
			b.gone = true
			f.run(2)
		case "silent":
			f.frozen = f.second
			f.run(30)
		case "strange":
			b.strange = true
			f.run(2)
		}
		f.see(health.Down, a)
		f.run(3)
		f.want(how, "down", "up")
		b.gone, b.strange, f.frozen = false, false, 0
		f.run(3)
		f.want(how+", then heard", "doubtful", "up")
		f.see(health.Up, a)
		f.run(2)
		f.want(how+", then mended", "up", "up")
	}
}

// The principle, attacked: whatever the others say and whenever the store dies or
// heals, a local Down that lasts is acted on within ten seconds by an observer
// that does not doubt itself.
func TestSharingNeverForbids(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := newFleet(t, []string{"a", "a", "b", "c", "d"}[:2+r.IntN(4)]...)
		me := f.members[0]
		stir := func() {
			o := f.members[1+r.IntN(len(f.members)-1)]
			switch r.IntN(8) {
			case 0:
				f.see(health.Down, o)
			case 1:
				f.see(health.Up, o)
			case 2:
				o.braked = !o.braked
			case 3:
				o.gone = !o.gone
			case 4:
				f.frozen = f.second
			case 5:
				f.frozen = 0
			case 6:
				o.cutOff = f.second * r.IntN(2)
			case 7:
				o.strange = !o.strange
			}
		}
		for range r.IntN(60) {
			stir()
			f.run(r.IntN(20))
		}
		if me.word() != "up" {
			continue
		}
		f.see(health.Down, me)
		for range 10 {
			if r.IntN(3) == 0 {
				stir()
			}
			f.run(1)
		}
		if me.word() == "up" {
			t.Fatalf("seed %d: ten seconds after its own Down it still uses the endpoint", seed)
		}
	}
}
