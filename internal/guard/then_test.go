package guard

import (
	"net/netip"
	"testing"
	"time"
)

// The name's own DNS fails for six hours, in which the target of its CNAME is asked and is
// well. Then all is well, and the name moves. What it left hours ago must not stand in at the
// next failure (and is to be forgotten after an hour of answers without it).
func TestWhatTheTargetBroughtIsOfThen(t *testing.T) {
	a1, a2 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.9")
	for _, far := range []bool{false, true} {
		n, now := &Name{}, noon
		for range 10 {
			n.Learn(false, &Answer{Chain: []string{"lb.test."}, Addrs: []Addr{a1}, TTL: 5}, now)
			now = now.Add(time.Minute)
		}
		n.Fail(false, NoData, now)
		for range 12 * 60 {
			now = now.Add(30 * time.Second)
			n.Fail(false, NoData, now)
			if far {
				n.Far(false, []Addr{a1}, now)
			}
		}
		n.Learn(false, &Answer{Chain: []string{"lb.test."}, Addrs: []Addr{a1}, TTL: 5}, now)
		m, _ := n.Member(false, a1)
		t.Logf("far %v: healed, last seen %v from now", far, m.Last.Sub(now))
		for range 5 * 60 { // five hours of answers with another address only
			now = now.Add(time.Minute)
			n.Learn(false, &Answer{Chain: []string{"lb.test."}, Addrs: []Addr{a2}, TTL: 5}, now)
		}
		n.Fail(false, NXDomain, now)
		s, why := n.Stand(false, rules(), now, false)
		t.Logf("far %v: five hours after the move: %v %v", far, s.Addrs, why)
		for _, ip := range s.Addrs {
			if ip == a1 {
				t.Errorf("far %v: an address that the name left five hours ago stands in: %v", far, s.Addrs)
			}
		}
	}
}
