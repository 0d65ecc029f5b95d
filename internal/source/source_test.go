package source

import (
	"net/netip"
	"testing"
	"time"
)

func fresh(a Addresses) (out []string) {
	for _, k := range a.Kept {
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
	a := Addresses{}.Learn([]netip.Addr{v4, v6}, at)
	for _, ips := range [][]netip.Addr{{v4}, {v6}, nil} {
		if got := fresh(a.Learn(ips, at.Add(2*time.Hour))); len(got) != 2 {
			t.Errorf("after %v: fresh are %v, want both families", ips, got)
		}
		if !a.Same(a.Learn(ips, at.Add(2*time.Hour))) {
			t.Errorf("after %v: the same addresses are others", ips)
		}
	}
	a = a.Learn([]netip.Addr{other}, at.Add(time.Minute))
	if got := fresh(a); len(got) != 2 || len(a.Kept) != 3 {
		t.Errorf("a new IPv4 address: kept %v; want it and the IPv6 one fresh, the old one in reserve", a.Kept)
	}
}
