package guard

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestMend holds that whatever a disk or another resolver says becomes plausible.
func TestMend(t *testing.T) {
	good := netip.MustParseAddr("192.0.2.1")
	future, past := noon.Add(1e6*time.Second), Stamp(math.MinInt64)
	n := &Name{Tried: future}
	n.V4 = Kept{Good: future, Bad: past, Size: 200, Kind: 9, Members: []Member{
		{IP: good, First: past, Last: future, Times: 255, Was: Refuted, Proof: Silent},
		{IP: good, Times: 3, Last: noon},
		{},
		{IP: netip.MustParseAddr("2001:db8::1")},
		{IP: netip.MustParseAddr("10.0.0.1")},
	}}
	n.V6 = Kept{Good: past, Bad: future, Members: []Member{
		{IP: good}, {IP: netip.MustParseAddr("::ffff:192.0.2.9")}, {IP: netip.MustParseAddr("fe80::1%eth0")}, {IP: netip.MustParseAddr("2001:db8::1"), Was: Silent},
	}}
	for i := range 20 {
		n.V6.Chain = append(n.V6.Chain, string(rune('a'+i))+".example.")
	}
	n.Mend(noon)
	if m := n.V4.Members; len(m) != 2 || n.V4.Kind != PublicKind || m[0] != (Member{IP: good, Last: noon, Times: 3, Proof: Refuted, Was: Refuted}) {
		t.Errorf("IPv4: %+v", m)
	}
	if m := n.V6.Members; len(m) != 1 || m[0].IP != netip.MustParseAddr("2001:db8::1") || m[0].Was != Unproven {
		t.Errorf("IPv6: %+v", m)
	}
	if n.V4.Good != noon || n.V4.Bad != 0 || n.V6.Good != 0 || n.V6.Bad != noon || n.Tried != noon || len(n.V6.Chain) != MaxChain || n.V4.Size != MaxAnswer {
		t.Errorf("%+v", n)
	}
}

// TestMendBounds holds the bounds on a name with 10,000 members of each kind.
func TestMendBounds(t *testing.T) {
	n := &Name{}
	for i := range 10_000 {
		v4 := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		n.V4.Members = append(n.V4.Members, Member{IP: v4, First: Stamp(-i), Last: noon.Add(time.Duration(i)), Times: 200}, Member{IP: v4})
		n.V6.Members = append(n.V6.Members, Member{IP: netip.AddrFrom16(v4.As16())}, Member{IP: v4})
	}
	n.Mend(noon)
	if len(n.V4.Members) != MaxMembers || len(n.V6.Members) != 0 {
		t.Fatalf("%d and %d members", len(n.V4.Members), len(n.V6.Members))
	}
	n.Fail(false, NoData, noon)
	if s, why := n.Stand(false, rules(), noon, false); len(s.Addrs) > MaxAnswer {
		t.Errorf("%v: %v", why, s)
	}
	n.Learn(false, says(5, n.V4.Members[0].IP), noon)
	if m := n.V4.Members[0]; m.Times != 3 {
		t.Errorf("%+v", m)
	}
}

// TestMendOfCertificates holds that digests of a plausible size are kept, and no others.
func TestMendOfCertificates(t *testing.T) {
	fits, tooLong := strings.Repeat("k", maxDigest), strings.Repeat("k", maxDigest+1)
	for c, want := range map[Cert]bool{
		{Key: fits, Issuer: fits}: true, {Key: fits}: true, {Issuer: fits}: true, {Key: tooLong, Issuer: fits}: false, {Key: fits, Issuer: tooLong}: false,
	} {
		n := Name{Cert: c}
		if n.Mend(noon); (n.Cert == c) != want {
			t.Errorf("%d and %d bytes: kept %v", len(c.Key), len(c.Issuer), !want)
		}
	}
}

// TestMendOfKinds holds that the kind that was settled stays whatever was seen since, that
// one which is not known is that of the newest member, and that nothing has none.
func TestMendOfKinds(t *testing.T) {
	in, out := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
	both := []Member{{IP: out, Last: noon - 2}, {IP: in, Last: noon - 1}}
	for _, c := range []struct {
		k    Kept
		want Kind
	}{
		{Kept{Kind: PublicKind, Members: both}, PublicKind},
		{Kept{Kind: PrivateKind, Members: both}, PrivateKind},
		{Kept{Members: both}, PrivateKind},
		{Kept{Kind: 9, Members: both}, PrivateKind},
		{Kept{Members: both[:1]}, PublicKind},
		{Kept{Kind: PublicKind}, NoKind},
		{Kept{}, NoKind},
	} {
		n := Name{V4: c.k}
		if n.Mend(noon); n.V4.Kind != c.want {
			t.Errorf("%+v: %d, want %d", c.k, n.V4.Kind, c.want)
		}
	}
}
