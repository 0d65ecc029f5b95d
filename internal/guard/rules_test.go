package guard

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestTheOldestStrangerGivesWay holds that of the strange addresses that wait the oldest
// one is forgotten, wherever it is, and no other.
func TestTheOldestStrangerGivesWay(t *testing.T) {
	stranger := func(i int) Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }
	for _, oldest := range []int{0, 7, MaxMembers - 1} {
		n := &Name{}
		for i := range MaxMembers {
			at := noon.Add(time.Duration(i+1) * time.Second)
			if i == oldest {
				at = noon
			}
			n.hold(stranger(i), at)
		}
		n.hold(stranger(200), noon.Add(2*time.Minute))
		for i := range MaxMembers {
			if isHeld := n.holding(stranger(i), noon.Add(2*time.Minute)) != nil; isHeld == (i == oldest) {
				t.Errorf("oldest %d: %d is held: %v", oldest, i, isHeld)
			}
		}
		if n.holding(stranger(200), noon.Add(2*time.Minute)) == nil {
			t.Errorf("oldest %d: the new one is not held", oldest)
		}
	}
}

// TestSignaturesStay holds that an answer without signatures leaves those there are, and
// that one with them is news.
func TestSignaturesStay(t *testing.T) {
	n, now := healthy(says(5, pool(1)...))
	a := says(5, pool(1)...)
	if a.Signed = (&Signed{}); n.Learn(false, a, now) != Changed || n.V4.Signed != a.Signed {
		t.Error("signatures are no news")
	}
	if n.Learn(false, says(5, pool(1)...), now.Add(time.Second)) != Refreshed || n.V4.Signed != a.Signed {
		t.Error("they are gone")
	}
}

// TestTheMomentAMemberIsGood holds that this is news, and an answer before or after it
// is none: so the disk has it at once.
func TestTheMomentAMemberIsGood(t *testing.T) {
	n := &Name{}
	for i, want := range []News{Changed, Refreshed, Refreshed, Changed, Refreshed, Refreshed} {
		if got := n.Learn(false, says(5, pool(1)...), noon.Add(time.Duration(i)*20*time.Second)); got != want {
			t.Errorf("answer %d: %d, want %d", i+1, got, want)
		}
	}
}

// TestTheUsualSizeOfACopy holds that a copy has it, and that of nothing none.
func TestTheUsualSizeOfACopy(t *testing.T) {
	n, _ := healthy(says(5, pool(3)...))
	if c := n.Clone(); c.V4.Size != 3 || c.V6.Size != 0 {
		t.Errorf("%d and %d", c.V4.Size, c.V6.Size)
	}
}

// TestProofsWorthTelling holds that a proof is told at once while the name fails, if it
// says something else than the last one told, or comes half a minute after it.
func TestProofsWorthTelling(t *testing.T) {
	for _, c := range []struct {
		failing bool
		after   time.Duration
		p       Proof
		want    Worth
	}{
		{true, reprove - 1e6, Proven, Nothing},
		{true, reprove, Proven, Now},
		{true, time.Second, Refuted, Now},
		{false, time.Hour, Proven, Nothing},
		{false, time.Second, Refuted, Nothing},
	} {
		n, now := healthy(says(5, pool(1)...))
		if c.failing {
			n.Fail(false, NoData, now)
		}
		n.Prove(false, pool(1)[0], Proven, now)
		var s Shared
		s.Merge(n)
		n.Prove(false, pool(1)[0], c.p, now.Add(c.after))
		if got := s.Merge(n); got != c.want {
			t.Errorf("failing %v, %v after %v: %d, want %d", c.failing, c.p, c.after, got, c.want)
		}
	}
}

// TestWhetherOneIsProven holds what is said of a set.
func TestWhetherOneIsProven(t *testing.T) {
	for _, which := range []int{-1, 0, 1} {
		n, now := healthy(says(5, pool(2)...))
		if which >= 0 {
			n.Prove(false, pool(2)[which], Proven, now)
		}
		n.Fail(false, NoData, now)
		if s, _ := n.Stand(false, rules(), now, false); s.Proven != (which >= 0) {
			t.Errorf("member %d: %+v", which, s)
		}
	}
}

// TestAPoolThatGrows holds that a member which was last seen after the first one of the
// last answer came up is of the same pool, in whatever order they are.
func TestAPoolThatGrows(t *testing.T) {
	seen := func(ip Addr, first, last time.Duration) Member {
		return Member{IP: ip, First: noon.Add(first), Last: noon.Add(last), Times: 3}
	}
	ips := pool(4)
	all := []Member{
		seen(ips[0], 0, time.Hour), seen(ips[1], 40*time.Minute, time.Hour), seen(ips[2], 0, 30*time.Minute), seen(ips[3], -time.Hour, -time.Minute),
	}
	for i := range all {
		n := &Name{V4: Kept{Members: slices.Concat(all[i:], all[:i]), Good: noon.Add(time.Hour)}}
		n.Fail(false, NoData, noon.Add(time.Hour))
		wantStands(t, n, noon.Add(time.Hour), ips[:3]...)
	}
}

// TestHeldForADay holds how long an answer with valid signatures stands in.
func TestHeldForADay(t *testing.T) {
	n, now := healthy(says(5, pool(1)...))
	n.V4.Signed = &Signed{From: noon, Until: now.Add(1000 * time.Hour), IPs: pool(1)}
	n.Fail(false, NoData, now)
	r := rules()
	if n.Held(false, r, now.Add(r.KeepProven)) == nil || n.Held(false, r, now.Add(r.KeepProven+1e6)) != nil {
		t.Error("not for a day, or for longer")
	}
}

// TestOneIsElected holds that of two one is elected, whichever of them asks.
func TestOneIsElected(t *testing.T) {
	for i := range 100 {
		name := fmt.Sprintf("n%d.example.", i)
		if Elected("a", []string{"a", "b"}, name) == Elected("b", []string{"b", "a"}, name) {
			t.Errorf("%s: both, or none", name)
		}
	}
}

// TestNothingFromTheTargetMovesNothing holds that an answer without addresses for the target
// of the chain leaves what stands in as it is: nothing that the name moved away from.
func TestNothingFromTheTargetMovesNothing(t *testing.T) {
	before, after := addrs("192.0.2.1", "192.0.2.2"), addrs("198.51.100.1") // two is the usual number
	n, now := healthy(says(5, before...))
	for range 5 {
		now = now.Add(20 * time.Second)
		n.Learn(false, says(5, after...), now)
	}
	n.Fail(false, NoData, now)
	if fit := n.Far(false, nil, now.Add(time.Minute)); fit != nil {
		t.Errorf("%v", fit)
	}
	wantStands(t, n, now.Add(time.Minute), after...)
}

// TestWhatIsRefutedMovesNothing holds that addresses of the chain's target that were
// refuted leave what stands in as it was before them: nothing that the name moved
// away from.
func TestWhatIsRefutedMovesNothing(t *testing.T) {
	before, after, far := addrs("192.0.2.1", "192.0.2.2"), addrs("198.51.100.1"), addrs("203.0.113.9")
	n, now := healthy(says(5, before...)) // two is the usual number
	for range 5 {
		now = now.Add(20 * time.Second)
		n.Learn(false, says(5, after...), now)
	}
	n.Fail(false, NoData, now)
	for range 5 {
		now = now.Add(20 * time.Second)
		n.Far(false, far, now)
	}
	wantStands(t, n, now, far...)
	n.Prove(false, far[0], Refuted, now)
	n.Prove(false, far[0], Refuted, now.Add(5*time.Second))
	wantStands(t, n, now.Add(6*time.Second), after...)
}

// TestStrangersOfNamesThatProveThemselves holds that a strange address which proved nothing is
// refused there, and taken where nothing can be proved.
func TestStrangersOfNamesThatProveThemselves(t *testing.T) {
	far := netip.MustParseAddr("203.0.113.66")
	for _, proves := range []bool{true, false} {
		for _, p := range []Proof{Proven, Refuted, Silent, Mute} {
			n, now := healthy(says(5, pool(2)...))
			n.Proves = proves
			n.Strange(false, says(5, far), rules(), now)
			if !n.Undecided(now) {
				t.Error("it waits for its proof")
			}
			n.Judge(far, p, now)
			_, refused, waiting := n.Strange(false, says(5, far), rules(), now)
			if want := p == Refuted || proves && p != Proven; (len(refused) == 1) != want || waiting != want || n.Undecided(now) {
				t.Errorf("proves %v, %v: refused %v, waits %v, undecided %v", proves, p, refused, waiting, n.Undecided(now))
			}
		}
	}
}

// TestStrangersDoNotWaitForever holds that one whose proof never came is forgotten.
func TestStrangersDoNotWaitForever(t *testing.T) {
	n, now := healthy(says(5, pool(2)...))
	n.Strange(false, says(5, netip.MustParseAddr("203.0.113.66")), rules(), now)
	if !n.Undecided(now.Add(recheck-1e6)) || n.Undecided(now.Add(recheck)) {
		t.Error("not for ten minutes, or for longer")
	}
}

// TestFaintSinceItsLastProof holds that a member which is mute stands in for four hours
// from when it last proved itself, however long ago answers were good.
func TestFaintSinceItsLastProof(t *testing.T) {
	one := pool(1)[0]
	n, now := proven(1)
	at := now.Add(3 * time.Hour)
	n.Prove(false, one, Proven, at)
	n.Prove(false, one, Mute, at.Add(time.Minute))
	for after, want := range map[time.Duration]Refusal{faintAlone: Stands, faintAlone + 1e6: Expired} {
		if _, why := n.Stand(false, rules(), at.Add(after), false); why != want {
			t.Errorf("%v after its proof: %v", after, why)
		}
	}
}

// TestWhoIsANewcomer holds that it is who was in the last good answer, or is kept by another
// observer, and no one from an answer before.
func TestWhoIsANewcomer(t *testing.T) {
	r := rules()
	r.Demand = TLS
	there, now := healthy(says(60, pool(1)...))
	var s Shared
	s.Merge(there)
	n := &Name{}
	n.Learn(false, says(5, addrs("198.51.100.1")...), now)
	now = now.Add(time.Minute)
	n.Learn(false, says(5, addrs("198.51.100.2")...), now)
	n.Adopt(by(&s, true), now, nobody)
	n.Fail(false, NoData, now)
	ips, urgent := n.Newcomers(false, r)
	slices.SortFunc(ips, Addr.Compare)
	if !urgent || !slices.Equal(ips, addrs("192.0.2.1", "198.51.100.2")) {
		t.Errorf("%v, urgent %v", ips, urgent)
	}
}
