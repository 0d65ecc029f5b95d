package guard

import (
	"net/netip"
	"testing"
	"time"
)

// view learns an answer every 20 s, so many times, and returns what the last one was.
func (n *Name) view(a *Answer, times int, now *Stamp) (news News) {
	for range times {
		*now = now.Add(20 * time.Second)
		news = n.Learn(false, a, *now)
	}
	return news
}

// TestViewsComeAndGo holds that a name whose view goes from public to private and back
// stands in with addresses of the view of its last three answers, and that one odd
// answer, or two, change nothing: rebinding.
func TestViewsComeAndGo(t *testing.T) {
	in, out := says(5, addrs("10.0.0.1")...), says(5, addrs("192.0.2.1")...)
	mixed := says(5, addrs("10.0.0.1", "192.0.2.1")...)
	stands := func(n *Name, now Stamp, want *Answer) {
		t.Helper()
		c := n.Clone()
		c.Fail(false, NoData, now)
		wantStands(t, &c, now, want.Addrs...)
	}
	for _, c := range []struct{ first, then *Answer }{{out, in}, {in, out}} {
		n, now := healthy(c.first)
		stands(n, now, c.first)
		for range 3 { // odd ones among others
			if news := n.view(c.then, turns-1, &now); (news == Refused) != (c.then == in) {
				t.Errorf("an odd answer: %v", news)
			}
			stands(n, now, c.first)
			n.view(c.first, 1, &now)
		}
		if news := n.view(c.then, turns, &now); news != Changed {
			t.Errorf("the third in a row: %v", news)
		}
		n.view(c.then, 3, &now)
		stands(n, now, c.then)
		n.view(c.first, turns, &now)
		stands(n, now, c.first) // it was kept apart, and is not too old
	}
	n, now := healthy(out)
	if n.view(mixed, 1, &now) != Refused {
		t.Error("a public answer with a private address in it")
	}
	n, now = healthy(out)
	for range 100 { // a hundred clients at once
		now = now.Add(time.Millisecond)
		n.Learn(false, in, now)
	}
	stands(n, now, out)
	if n.Learn(false, says(5), now) != Refused {
		t.Error("learned from an answer without addresses")
	}
}

// TestOldPublicAddressesEnd holds that the public addresses of a name that has been
// private for long stand in no more, and that refused answers make them older too.
func TestOldPublicAddressesEnd(t *testing.T) {
	in, out := says(5, addrs("10.0.0.1")...), says(5, addrs("192.0.2.1")...)
	n, now := healthy(out)
	n.view(in, 3*70, &now)
	if n.V4.find(out.Addrs[0]) != nil {
		t.Errorf("%+v", n.V4.Members)
	}
	n, now = healthy(out)
	now = now.Add(30 * 24 * time.Hour)
	if n.view(in, 1, &now) != Refused || len(n.V4.Members) != 0 {
		t.Errorf("30 days later: %+v", n.V4.Members)
	}
	n, now = healthy(out)
	n.Prove(false, out.Addrs[0], Proven, now)
	n.Fail(false, NoData, now)
	now = now.Add(2 * time.Hour)
	n.view(in, 1, &now)
	wantStands(t, n, now, out.Addrs...) // one lie in an outage ends nothing
	if n.view(in, 2, &now); n.Failing() {
		t.Error("its DNS answers, and not only once")
	}
}

// TestTheOtherFamilyIsPublic holds that a private address of the other family of a public
// name is as odd as one of the same, and that a public one beside private ones is not.
func TestTheOtherFamilyIsPublic(t *testing.T) {
	n, now := healthy(says(5, pool(1)...))
	for i := range turns {
		if news := n.Learn(true, says(5, addrs("fd00::1")...), now); (news == Refused) != (i < turns-1) {
			t.Errorf("answer %d: %v", i+1, news)
		}
		now = now.Add(time.Second)
	}
	n, now = healthy(says(5, addrs("10.0.0.1")...))
	if n.Learn(true, says(5, addrs("2001:db8::1")...), now) != Changed || n.V6.Kind != PublicKind || n.V4.Kind != PrivateKind {
		t.Error("private over IPv4 and public over IPv6")
	}
}

// TestWhatIsOfTheOtherKind holds that nothing of the other view is asked, held with its
// signatures, told to others or taken from them.
func TestWhatIsOfTheOtherKind(t *testing.T) {
	in, out := addrs("10.0.0.1"), addrs("192.0.2.1")
	r := rules()
	r.Demand = TLS
	n, now := healthy(says(5, in...))
	n.view(says(5, out...), 2, &now)
	n.V4.Signed = &Signed{From: noon, Until: now.Add(time.Hour), IPs: out}
	n.V4.find(out[0]).First = noon
	n.V4.find(out[0]).Times = 3
	if places := n.V4.places(r); len(places) != 1 || !places[r.Place(in[0])] {
		t.Errorf("%v", places)
	}
	if ip, due := n.Untried(r, now); due {
		t.Errorf("%v shakes hands", ip)
	}
	n.Fail(false, NoData, now)
	if n.Held(false, r, now) != nil {
		t.Error("held with signatures")
	}
	n.V4.find(out[0]).Times = 1
	if ips, _ := n.Newcomers(false, r); ips != nil {
		t.Errorf("%v proves itself", ips)
	}
	n.V4.find(out[0]).Times = 3
	n.Prove(false, out[0], Refuted, now)
	if due := n.Refutations(false, now.Add(time.Hour), 0); due != nil {
		t.Errorf("%v proves itself again", due)
	}
	n.Prove(false, out[0], Proven, now)
	var s Shared
	if s.Merge(n); len(s.Known.V4.Members) != 1 || s.Known.V4.Kind != PrivateKind {
		t.Errorf("told: %+v", s.Known.V4)
	}
	lie := s.Known.Clone()
	lie.V4.Members = append(lie.V4.Members, Member{IP: out[0], First: noon, Last: now, Times: 3})
	s.Known = lie
	var fresh Name
	if fresh.Adopt(by(&s, true), now, nobody); len(fresh.V4.Members) != 1 {
		t.Errorf("adopted: %+v", fresh.V4)
	}
}

// TestPrivate holds which addresses are.
func TestPrivate(t *testing.T) {
	for _, ip := range []string{"10.1.2.3", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "::"} {
		if !Private(netip.MustParseAddr(ip)) {
			t.Errorf("%s is private", ip)
		}
	}
	if Private(netip.MustParseAddr("192.0.2.1")) || Private(netip.MustParseAddr("2001:db8::1")) {
		t.Error("a public address is not")
	}
}
