package guard

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestTheBudget holds over random demands that never more than five proofs begin
// within any second, one of them in a /24 or /48, and that what is allowed is used.
func TestTheBudget(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b Budget
		var made []begun
		now := noon
		for range 20_000 {
			now = now.Add(time.Duration(r.IntN(120)) * time.Millisecond)
			ip := randomTarget(r)
			p, _ := ip.Prefix(24)
			if ip.Is6() {
				p, _ = ip.Prefix(48)
			}
			if b.Allow(ip, Need(r.IntN(3)), now) {
				made = append(made, begun{now, p})
			}
			if u := b.Used(now); u > PerSecond {
				t.Fatalf("%d are used", u)
			}
		}
		checkBudget(t, made)
		if rate := float64(len(made)) / now.Sub(noon).Seconds(); rate < 4 {
			t.Errorf("%.1f a second with more than enough to do", rate)
		}
	}
}

// randomTarget returns an address in one of a few thousand networks, most of them
// in three.
func randomTarget(r *rand.Rand) Addr {
	net := r.IntN(3)
	if r.IntN(2) == 0 {
		net = r.IntN(4000)
	}
	if r.IntN(3) == 0 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(net >> 8), byte(net), byte(r.IntN(256)), 15: byte(r.IntN(256))})
	}
	return netip.AddrFrom4([4]byte{203, byte(net >> 8), byte(net), byte(r.IntN(256))})
}

func checkBudget(t *testing.T, made []begun) {
	t.Helper()
	for i, first := range made {
		all, near := 0, 0
		for _, m := range made[i:] {
			if m.at.Sub(first.at) >= time.Second {
				break
			}
			all++
			if m.net == first.net {
				near++
			}
		}
		if all > PerSecond || near > 1 {
			t.Fatalf("%d within a second, %d in %v", all, near, first.net)
		}
	}
}

// TestTheUrgentGoFirst holds that a proof that a client waits for is the next one in
// its network, whoever asks before it does again, and that room is not kept for long.
func TestTheUrgentGoFirst(t *testing.T) {
	near, beside := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	for name, other := range map[string]Addr{"in its network": beside, "anywhere, of the last room": netip.MustParseAddr("198.51.100.1")} {
		t.Run(name, func(t *testing.T) {
			var b Budget
			b.Allow(near, Plain, noon)
			for i := range PerSecond - 1 {
				b.Allow(netip.AddrFrom4([4]byte{203, 0, byte(i), 1}), Plain, noon.Add(time.Duration(500+i)*time.Millisecond))
			}
			at := noon.Add(900 * time.Millisecond)
			if b.Allow(near, Urgent, at) {
				t.Fatal("there is no room")
			}
			at = at.Add(100 * time.Millisecond)
			if b.Allow(other, Plain, at) {
				t.Error("took the room that was kept")
			}
			if !b.Allow(near, Urgent, at) {
				t.Error("the one that waits has no room")
			}
		})
	}
	var b Budget
	b.Allow(near, Plain, noon)
	b.Allow(near, Urgent, noon.Add(900*time.Millisecond))
	if b.Allow(beside, Plain, noon.Add(time.Second)) || !b.Allow(beside, Plain, noon.Add(900*time.Millisecond+queued)) {
		t.Error("room is kept while one waits, and no longer")
	}
}

// TestTheBudgetOutlivesTheClock holds that a clock which is set back or forth by an
// hour stops no proofs.
func TestTheBudgetOutlivesTheClock(t *testing.T) {
	var b Budget
	now := noon
	for i := range 5 {
		b.Allow(netip.AddrFrom4([4]byte{203, 0, byte(i), 1}), Plain, now)
	}
	for _, d := range []time.Duration{-time.Hour, 2 * time.Hour} {
		if now = now.Add(d); !b.Allow(netip.MustParseAddr("203.0.113.1"), Plain, now) {
			t.Errorf("none after a step of %v", d)
		}
	}
	if b.Allow(Addr{}, Plain, now.Add(time.Minute)) {
		t.Error("a proof of nothing")
	}
	if !b.Allow(netip.MustParseAddr("::ffff:192.0.2.1"), Plain, now.Add(time.Minute)) || b.Allow(netip.MustParseAddr("192.0.2.2"), Plain, now.Add(time.Minute)) {
		t.Error("a mapped address is of its IPv4 network")
	}
}

// TestEars holds that a member's silence is its own only while most proofs of the
// last ten minutes were answered.
func TestEars(t *testing.T) {
	var e Ears
	if e.Hush(noon) {
		t.Error("before any proof")
	}
	e.Note(Silent, noon)
	e.Note(Refuted, noon)
	e.Note(Unproven, noon)
	if e.Hush(noon) {
		t.Error("one of two is not most")
	}
	e.Note(Proven, noon)
	if !e.Hush(noon) {
		t.Error("two of three are")
	}
	if e.Hush(noon.Add(recheck + 1e6)) {
		t.Error("that was long ago")
	}
	for range 100 {
		e.Note(Silent, noon)
	}
	if e.Hush(noon) {
		t.Error("nobody answers: that is us")
	}
}

// What only others keep leaves room in its own network, too: they chose it.
func TestSpareProofsLeaveTheirNetwork(t *testing.T) {
	var b Budget
	plain, spare, now := 0, 0, noon
	for range 600 { // a minute of ten looks a second, in which spare ones come first
		if b.Allow(addrs("192.0.2.200")[0], Spare, now) {
			spare++
		}
		if b.Allow(addrs("192.0.2.1")[0], Plain, now) {
			plain++
		}
		now = now.Add(100 * time.Millisecond)
	}
	if spare < 10 || plain < 45 {
		t.Errorf("%d spare proofs and %d plain ones in a minute", spare, plain)
	}
}
