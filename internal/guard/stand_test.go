package guard

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestRefusals holds each reason for which nothing stands in.
func TestRefusals(t *testing.T) {
	one := pool(1)[0]
	for _, c := range []struct {
		name string
		edit func(n *Name, now *Stamp)
		hush bool
		want Refusal
	}{
		{"good answers", func(n *Name, _ *Stamp) { n.V4.Bad = 0 }, false, Healthy},
		{"nothing learned", func(n *Name, now *Stamp) { n.Accept(*now); n.Fail(false, NoData, *now) }, false, Unlearned},
		{"seen twice", func(n *Name, _ *Stamp) { n.V4.Members[0].Times = 2 }, false, Young},
		{"seen for 59 s", func(n *Name, _ *Stamp) { m := &n.V4.Members[0]; m.First = m.Last.Add(-59 * time.Second) }, false, Young},
		{"seen for 60 s", func(n *Name, _ *Stamp) { m := &n.V4.Members[0]; m.First = m.Last.Add(-60 * time.Second) }, false, Stands},
		{"refuted", func(n *Name, now *Stamp) { n.Prove(false, one, Refuted, *now) }, false, Contradicted},
		{"refuted, then silent", func(n *Name, now *Stamp) { n.Prove(false, one, Refuted, *now); n.Prove(false, one, Silent, *now) }, false, Contradicted},
		{"refuted, then proven", func(n *Name, now *Stamp) { n.Prove(false, one, Refuted, *now); n.Prove(false, one, Proven, *now) }, false, Stands},
		{"silent", func(n *Name, now *Stamp) { n.Prove(false, one, Silent, *now) }, false, Stands},
		{"silent while others answer", func(n *Name, now *Stamp) { n.Prove(false, one, Silent, *now) }, true, Quiet},
		{"unproven at its bound", func(_ *Name, now *Stamp) { *now = now.Add(15 * time.Minute) }, false, Stands},
		{"unproven for too long", func(_ *Name, now *Stamp) { *now = now.Add(15*time.Minute + 1e6) }, false, Expired},
		{"proven at its bound", func(n *Name, now *Stamp) { n.Prove(false, one, Proven, *now); *now = now.Add(24 * time.Hour) }, false, Stands},
		{"proven for too long", func(n *Name, now *Stamp) { n.Prove(false, one, Proven, *now); *now = now.Add(24*time.Hour + 1e6) }, false, Expired},
	} {
		n, now := healthy(says(5, one))
		n.Fail(false, NoData, now)
		c.edit(n, &now)
		if s, why := n.Stand(false, rules(), now, c.hush); why != c.want || (len(s.Addrs) > 0) != (c.want == Stands) {
			t.Errorf("%s: %v (%v), want %v", c.name, why, s.Addrs, c.want)
		}
	}
}

// TestSilenceOfAnotherTimeIsForgotten holds that a member which said nothing in one
// outage, and was in good answers since, stands in at the next one's beginning.
func TestSilenceOfAnotherTimeIsForgotten(t *testing.T) {
	one := pool(1)[0]
	n, now := healthy(says(5, one))
	n.Prove(false, one, Proven, now)
	n.Fail(false, NoData, now)
	n.Prove(false, one, Silent, now)
	now = now.Add(time.Hour)
	n.Learn(false, says(5, one), now)
	n.Fail(false, NoData, now)
	if _, why := n.Stand(false, rules(), now, true); why != Stands {
		t.Errorf("%v", why)
	}
}

// TestAnotherAnswerIsAgainGood holds that what was refuted is believed again when
// its own DNS says it, and must then be seen often enough or prove itself.
func TestAnotherAnswerIsAgainGood(t *testing.T) {
	n, now := &Name{}, noon
	one := pool(1)[0]
	n.Learn(false, says(5, one), now)
	n.Prove(false, one, Proven, now)
	n.Prove(false, one, Refuted, now)
	n.Learn(false, says(5, one), now)
	n.Fail(false, NoData, now)
	if _, why := n.Stand(false, rules(), now, false); why != Young {
		t.Errorf("%v", why)
	}
}

// TestTheProofSchedule holds when members of a failing name prove themselves:
// spread at first, then after 1, 2, 5, 5 ... minutes, four of them.
func TestTheProofSchedule(t *testing.T) {
	const share = 7 * time.Second
	r := rules()
	r.Demand = TLS
	n, now := healthy(says(5, pool(6)...))
	n.Fail(false, NoData, now)
	begun, times := now, []time.Duration(nil)
	for ; now.Sub(begun) < 20*time.Minute; now = now.Add(500 * time.Millisecond) {
		s, _ := n.Stand(false, r, now, false)
		due := n.Due(false, &s, r, now, share)
		if len(due) == 0 {
			continue
		}
		if len(due) != MaxProved {
			t.Fatalf("%d are due", len(due))
		}
		for _, ip := range due {
			n.Begun(false, ip, now, 0)
			n.Prove(false, ip, Proven, now)
		}
		times = append(times, now.Sub(begun))
	}
	want := []time.Duration{share, share + time.Minute, share + 3*time.Minute, share + 8*time.Minute, share + 13*time.Minute, share + 18*time.Minute}
	if !slices.Equal(times, want) {
		t.Errorf("proofs after %v, want %v", times, want)
	}
	if n.Proves {
		t.Error("a proof during a failure says nothing of what can be demanded")
	}
}

// TestTheScheduleAfterARestart holds that proofs are spread anew when a name fails
// since before this process.
func TestTheScheduleAfterARestart(t *testing.T) {
	r := rules()
	r.Demand = TLS
	n, now := healthy(says(5, pool(1)...))
	n.Fail(false, NoData, now)
	now = now.Add(time.Hour)
	s := Set{Addrs: pool(1)}
	if due := n.Due(false, &s, r, now, 4*time.Second); len(due) != 0 {
		t.Error("at once")
	}
	if due := n.Due(false, &s, r, now.Add(4*time.Second), 4*time.Second); len(due) != 1 {
		t.Error("not after its share")
	}
}

// TestAClockThatIsSetBack holds that proofs do not wait for the old time.
func TestAClockThatIsSetBack(t *testing.T) {
	r := rules()
	r.Demand = TLS
	n, now := healthy(says(5, pool(2)...))
	n.Fail(false, NoData, now)
	n.Begun(false, pool(1)[0], now, 0)
	n.Prove(false, pool(2)[1], Refuted, now)
	n.Begun(false, pool(2)[1], now, 0)
	now = now.Add(-time.Hour)
	s := Set{Addrs: pool(1)}
	if len(n.Due(false, &s, r, now, 0)) != 1 || len(n.Refutations(false, now, 0)) != 1 {
		t.Error("no proof for an hour")
	}
	if n.Learn(false, says(5, pool(1)...), now) != Changed || n.V4.find(pool(2)[1]).Last > now.Add(time.Hour) {
		t.Errorf("%+v", n.V4.Members)
	}
}

// TestRefutedMembersAreAskedAgain holds that they are, four at a time.
func TestRefutedMembersAreAskedAgain(t *testing.T) {
	n, now := healthy(says(5, pool(6)...))
	n.Fail(false, NoData, now)
	for _, ip := range pool(6) {
		n.Begun(false, ip, now, 0)
		n.Prove(false, ip, Refuted, now)
	}
	if due := n.Refutations(false, now.Add(59*time.Second), 0); len(due) != 0 {
		t.Errorf("%v", due)
	}
	if due := n.Refutations(false, now.Add(time.Minute), 0); len(due) != MaxProved {
		t.Errorf("%v", due)
	}
}

// TestOldRefutationsAreNoStorm holds that a member which was refuted in one outage is
// asked in the next one when it is this resolver's turn, and not at once.
func TestOldRefutationsAreNoStorm(t *testing.T) {
	n, now := healthy(says(5, pool(2)...))
	n.Fail(false, NoData, now)
	n.Begun(false, pool(1)[0], now, 0)
	n.Prove(false, pool(1)[0], Refuted, now)
	n.Learn(false, says(5, pool(2)[1]), now.Add(time.Minute))
	now = now.Add(20 * time.Minute)
	n.Fail(false, NoData, now)
	if due := n.Refutations(false, now.Add(6*time.Second), 7*time.Second); len(due) != 0 {
		t.Errorf("at once: %v", due)
	}
	if due := n.Refutations(false, now.Add(7*time.Second), 7*time.Second); len(due) != 1 {
		t.Errorf("not in its turn: %v", due)
	}
}

// TestWhatIsDemanded holds that auto demands only what worked while answers were
// good.
func TestWhatIsDemanded(t *testing.T) {
	r := rules()
	n, now := healthy(says(5, pool(1)...))
	if ip, due := n.Untried(r, now); !due || ip != pool(1)[0] {
		t.Error("no handshake with a new name")
	}
	n.Tried = now
	if _, due := n.Untried(r, now.Add(23*time.Hour)); due {
		t.Error("two in a day")
	}
	if _, due := n.Untried(r, now.Add(24*time.Hour)); !due {
		t.Error("none the next day")
	}
	s := Set{Addrs: pool(1)}
	n.Fail(false, NoData, now)
	if _, due := n.Untried(r, now.Add(48*time.Hour)); due {
		t.Error("one while it fails")
	}
	if due := n.Due(false, &s, r, now.Add(time.Hour), 0); len(due) != 0 {
		t.Error("a proof of what never worked")
	}
	n.Learn(false, says(5, pool(1)...), now)
	if !n.Prove(false, pool(1)[0], Proven, now) || !n.Proves || n.Prove(false, pool(1)[0], Proven, now) {
		t.Error("what is new of a proof")
	}
	if n.Prove(false, netip.MustParseAddr("192.0.2.99"), Proven, now) || n.Prove(false, pool(1)[0], Unproven, now) {
		t.Error("a proof of nobody, or that proves nothing")
	}
	if _, due := n.Untried(r, now.Add(48*time.Hour)); due {
		t.Error("it is known")
	}
	n.Fail(false, NoData, now)
	if due := n.Due(false, &s, r, now, 0); len(due) != 1 {
		t.Error("none of what worked")
	}
}

// TestHeld holds that an answer with signatures stands in while they are valid and
// each of its addresses is a good member.
func TestHeld(t *testing.T) {
	n, now := healthy(says(5, pool(2)...))
	n.V4.Signed = &Signed{From: noon, Until: noon.Add(time.Hour), IPs: pool(2)}
	n.Fail(false, Bogus, now)
	r := rules()
	if n.Held(false, r, now) == nil || n.Held(false, r, noon.Add(-1e6)) != nil || n.Held(false, r, noon.Add(time.Hour)) != nil {
		t.Error("the time of the signatures")
	}
	n.V4.Signed.IPs = append(n.V4.Signed.IPs, netip.MustParseAddr("203.0.113.66"))
	if n.Held(false, r, now) != nil {
		t.Error("an address that is no member")
	}
	n.V4.Members = append(n.V4.Members, Member{IP: netip.MustParseAddr("203.0.113.66"), Times: 1})
	if n.Held(false, r, now) != nil {
		t.Error("an address that was seen once")
	}
	n.V4.Signed.IPs = pool(2)
	n.Prove(false, pool(1)[0], Refuted, now)
	if n.Held(false, r, now) != nil {
		t.Error("an address that was refuted")
	}
	n.V4.Signed = nil
	if n.Held(true, r, now) != nil || n.Held(false, r, now) != nil {
		t.Error("nothing")
	}
}

// TestShrunk holds that the third small answer within a minute is a failure where
// answers usually have six addresses or more.
func TestShrunk(t *testing.T) {
	for _, c := range []struct {
		usual, got int
		gap        time.Duration
		want       []bool
	}{
		{6, 1, 20 * time.Second, []bool{false, false, true, true}},
		{6, 1, 31 * time.Second, []bool{false, false, false, false}},
		{6, 2, time.Second, []bool{false, false, false, false}},
		{5, 1, time.Second, []bool{false, false, false, false}},
	} {
		n, now := healthy(says(5, pool(c.usual)...))
		for i, want := range c.want {
			if got := n.Shrunk(false, says(5, pool(c.got)...), now); got != want {
				t.Errorf("%d of %d, each %v: answer %d %v", c.got, c.usual, c.gap, i+1, got)
			}
			now = now.Add(c.gap)
		}
	}
}

// TestStrangeAddresses holds what `change` holds back.
func TestStrangeAddresses(t *testing.T) {
	r := rules()
	near, far := netip.MustParseAddr("192.0.99.1"), netip.MustParseAddr("203.0.113.66")
	n, now := &Name{}, noon
	if fresh, _, waiting := n.Strange(false, says(5, far), r, now); waiting || fresh != 0 {
		t.Error("nothing is known yet")
	}
	n, now = healthy(says(5, pool(2)...))
	if fresh, _, waiting := n.Strange(false, says(5, near), r, now); waiting || fresh != 0 {
		t.Error("of the same place")
	}
	fresh, refused, waiting := n.Strange(false, says(5, far), r, now)
	if !waiting || fresh != 1 || refused != nil || !slices.Equal(n.Doubted(now), []Addr{far}) {
		t.Errorf("%v %v %v", fresh, refused, waiting)
	}
	n.Judging(far, now)
	if fresh, _, waiting = n.Strange(false, says(5, far), r, now.Add(time.Second)); !waiting || fresh != 0 || n.Doubted(now) != nil {
		t.Error("asked twice")
	}
	n.Judge(far, Refuted, now.Add(2*time.Second))
	if _, refused, waiting = n.Strange(false, says(5, far), r, now.Add(3*time.Second)); !waiting || len(refused) != 1 {
		t.Error("not refused")
	}
	if fresh, _, _ = n.Strange(false, says(5, far), r, now.Add(recheck)); fresh != 1 {
		t.Error("not asked again")
	}
	n.Judge(far, Proven, now.Add(recheck))
	if _, _, waiting = n.Strange(false, says(5, far), r, now.Add(recheck)); waiting {
		t.Error("it proved itself")
	}
}

// TestAStrangerHidesNowhere holds that an address is held back wherever it stands
// in an answer, and that their number is bounded.
func TestAStrangerHidesNowhere(t *testing.T) {
	n, now := healthy(says(5, pool(8)...))
	far := netip.MustParseAddr("203.0.113.66")
	if fresh, _, waiting := n.Strange(false, says(5, append(pool(8), far)...), rules(), now); !waiting || fresh != 1 {
		t.Errorf("%v %v", fresh, waiting)
	}
	for i := range 1000 {
		ip := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		n.Strange(false, says(5, ip), rules(), now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(n.held) > MaxMembers {
		t.Errorf("%d are held", len(n.held))
	}
	n.Judge(netip.MustParseAddr("198.51.100.1"), Refuted, now) // nobody asked
}
