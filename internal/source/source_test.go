package source

import (
	"net/netip"
	"testing"
	"time"
)

func fresh(a Addresses) (out []string) {
	for _, k := range a.List() {
		if k.Fresh {
			out = append(out, k.IP.String())
		}
	}
	return out
}

// TestAnEmptyFamilyShrinksNothing: a name that loses the addresses of one family,
// by a failed lookup or an emptied record, keeps them as good as they were.
func TestAnEmptyFamilyShrinksNothing(t *testing.T) {
	at := time.Unix(1e9, 0)
	v4, v6, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.2")
	a := Addresses{}.Learn([]netip.Addr{v4, v6}, time.Minute, at)
	for _, ips := range [][]netip.Addr{{v4}, {v6}, nil} {
		if got := fresh(a.Learn(ips, time.Minute, at.Add(2*time.Hour))); len(got) != 2 {
			t.Errorf("after %v: fresh are %v, want both families", ips, got)
		}
		if !a.Same(a.Learn(ips, time.Minute, at.Add(2*time.Hour))) {
			t.Errorf("after %v: the same addresses are others", ips)
		}
	}
	a = a.Learn([]netip.Addr{other}, time.Minute, at.Add(time.Minute))
	if got := fresh(a); len(got) != 2 || len(a.List()) != 3 {
		t.Errorf("a new IPv4 address: kept %v; want it and the IPv6 one fresh, the old one in reserve", a.List())
	}
}

// TestAFailureMakesNothingOld: what good answers lacked while there were none is as
// it was when they are back; it is forgotten after an hour of them.
func TestAFailureMakesNothingOld(t *testing.T) {
	at := time.Unix(1e9, 0)
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	a := Addresses{}.Learn([]netip.Addr{one, two}, time.Minute, at)
	a = a.Fail(at.Add(time.Minute))
	at = at.Add(3 * time.Hour)
	if a = a.Fail(at).Learn([]netip.Addr{one}, time.Minute, at); len(a.List()) != 2 || len(fresh(a)) != 1 {
		t.Errorf("after three hours without answers: %v", a.List())
	}
	if a = a.Learn([]netip.Addr{one}, time.Minute, at.Add(2*time.Hour)); len(a.List()) != 1 {
		t.Errorf("after two hours of good ones: %v", a.List())
	}
}

// TestPrivateAddressesOfOurOwn: a name of ours may move to a private address: only
// names of others never do.
func TestPrivateAddressesOfOurOwn(t *testing.T) {
	at := time.Unix(1e9, 0)
	a := Addresses{}
	for i := range 5 {
		a = a.Learn([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, time.Minute, at.Add(time.Duration(i)*time.Minute))
	}
	a = a.Learn([]netip.Addr{netip.MustParseAddr("10.0.0.1")}, time.Minute, at.Add(time.Hour))
	if got := fresh(a); len(got) != 1 || got[0] != "10.0.0.1" {
		t.Errorf("fresh are %v", got)
	}
}
