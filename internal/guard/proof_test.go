package guard

import (
	"slices"
	"testing"
	"time"
)

// proven makes a healthy name of n addresses that proved themselves and fails now.
func proven(n int) (*Name, Stamp) {
	name, now := healthy(says(5, pool(n)...))
	for _, ip := range pool(n) {
		name.Prove(false, ip, Proven, now)
	}
	name.Fail(false, NoData, now)
	return name, now
}

// TestContradictedTwice holds that two proofs within ten seconds refute an address,
// and that one does not, whatever it was before.
func TestContradictedTwice(t *testing.T) {
	one := pool(1)[0]
	for _, c := range []struct {
		name  string
		first Proof
		after time.Duration
		then  Proof
		want  Proof
	}{
		{"twice", Contradicts, 2 * time.Second, Contradicts, Refuted},
		{"twice, at the bound", Contradicts, Twice, Contradicts, Refuted},
		{"twice, too far apart", Contradicts, Twice + 1e6, Contradicts, Mute},
		{"once", Contradicts, time.Second, Proven, Proven},
		{"mute, then once", Mute, time.Second, Contradicts, Mute},
		{"once, then mute", Contradicts, time.Second, Mute, Mute},
		{"by a clock that is set back", Contradicts, -time.Second, Contradicts, Mute},
	} {
		n, now := proven(1)
		n.Prove(false, one, c.first, now)
		if doubtful := n.Doubtful(false, one, now); doubtful != (c.first == Contradicts) {
			t.Errorf("%s: a second proof is wanted: %v", c.name, doubtful)
		}
		n.Prove(false, one, c.then, now.Add(c.after))
		if m, _ := n.Member(false, one); m.Proof != c.want {
			t.Errorf("%s: %v, want %v", c.name, m.Proof, c.want)
		}
	}
	n, now := proven(1)
	n.Prove(false, one, Contradicts, now)
	n.Prove(false, one, Proven, now.Add(time.Second))
	n.Prove(false, one, Contradicts, now.Add(2*time.Second))
	if m, _ := n.Member(false, one); m.Proof != Mute {
		t.Errorf("a proof in between: %v", m.Proof)
	}
	n.Prove(false, one, Contradicts, now.Add(3*time.Second))
	n.Prove(false, one, Mute, now.Add(4*time.Second))
	if m, _ := n.Member(false, one); m.Proof != Refuted || n.Doubtful(false, one, now.Add(4*time.Second)) {
		t.Errorf("what is refuted is not taken back by one that is mute: %v", m.Proof)
	}
	if n.Learn(false, says(5, one), now.Add(5*time.Second)); n.Doubtful(false, one, now.Add(5*time.Second)) {
		t.Error("its own DNS says that it is the name's")
	}
	if n.Doubtful(false, pool(2)[1], now) {
		t.Error("an address that is none of the name's")
	}
}

// TestMuteMembers holds how long a member stands in that does not say any more who it
// is: four hours, and a quarter of an hour beside one that does.
func TestMuteMembers(t *testing.T) {
	ips := pool(2)
	for _, c := range []struct {
		name   string
		say    map[int]Proof
		other  bool // the other one proves itself
		after  time.Duration
		want   []Addr
		isLate bool
	}{
		{"all mute, an hour", map[int]Proof{0: Mute, 1: Mute}, false, time.Hour, ips, true},
		{"all mute, at the bound", map[int]Proof{0: Mute, 1: Mute}, false, faintAlone, ips, true},
		{"all mute, too long", map[int]Proof{0: Mute, 1: Mute}, false, faintAlone + 1e6, nil, false},
		{"one mute, at the bound", map[int]Proof{0: Mute}, true, faintBeside, []Addr{ips[1], ips[0]}, true},
		{"one mute, too long", map[int]Proof{0: Mute}, true, faintBeside + 1e6, ips[1:], false},
		{"one silent, too long", map[int]Proof{0: Silent}, true, faintBeside + 1e6, ips[1:], false},
		{"one mute, the other proven before it failed", map[int]Proof{0: Mute}, false, faintBeside + 1e6, []Addr{ips[1], ips[0]}, true},
		{"one mute, the other silent", map[int]Proof{0: Mute, 1: Silent}, false, 2 * time.Hour, ips, true},
		{"one mute, the other refuted", map[int]Proof{0: Mute, 1: Refuted}, false, 2 * time.Hour, ips[:1], true},
	} {
		n, now := proven(2)
		n.V4.Bad++ // what was proven was so before
		for i, p := range c.say {
			n.Prove(false, ips[i], p, now.Add(time.Minute))
		}
		if c.other {
			n.Prove(false, ips[1], Proven, now.Add(time.Minute))
		}
		s, why := n.Stand(false, rules(), now.Add(c.after), false)
		if !slices.Equal(s.Addrs, c.want) || s.Faint != c.isLate {
			t.Errorf("%s: %v (%v), faint %v; want %v", c.name, s.Addrs, why, s.Faint, c.want)
		}
	}
}

// TestMuteMembersThatWereNeverAsked holds that a member of a name that proves itself
// stays while it is mute, although no proof of its own is known; and of another name
// only as long as all that proves nothing.
func TestMuteMembersThatWereNeverAsked(t *testing.T) {
	for _, proves := range []bool{true, false} {
		n, now := healthy(says(5, pool(1)...))
		n.Proves = proves
		n.Fail(false, NoData, now)
		n.Prove(false, pool(1)[0], Mute, now)
		for after, want := range map[time.Duration]bool{rules().KeepUnproven: true, time.Hour: proves, faintAlone + 1e6: false} {
			if _, why := n.Stand(false, rules(), now.Add(after), false); (why == Stands) != want {
				t.Errorf("proves %v, after %v: %v", proves, after, why)
			}
		}
	}
}

// TestTheOtherFamilyCounts holds that a member of the other family that is proven
// counts.
func TestTheOtherFamilyCounts(t *testing.T) {
	n, now := proven(1)
	v6 := addrs("2001:db8::1")
	n.Learn(true, says(5, v6...), now)
	n.Fail(true, NoData, now)
	n.Prove(true, v6[0], Proven, now.Add(time.Minute))
	n.Prove(false, pool(1)[0], Mute, now.Add(time.Minute))
	if _, why := n.Stand(false, rules(), now.Add(faintBeside+1e6), false); why != Expired {
		t.Errorf("%v", why)
	}
}

// TestTheFaintStandBehind holds that those that are mute come after all others, and
// are left out where the others are enough; an older member that is proven goes first.
func TestTheFaintStandBehind(t *testing.T) {
	n, now := proven(3)
	n.V4.late = nil
	n.V4.Size = 2
	n.Prove(false, pool(3)[0], Mute, now)
	if s, _ := n.Stand(false, rules(), now, false); !slices.Equal(s.Addrs, pool(3)[1:]) || s.Faint {
		t.Errorf("%+v", s)
	}
	old, fresh := addrs("192.0.2.1"), addrs("198.51.100.1")
	n, now = healthy(says(5, old...))
	n.Prove(false, old[0], Proven, now)
	for range 5 {
		now = now.Add(20 * time.Second)
		n.Learn(false, says(5, fresh...), now)
	}
	n.Fail(false, NoData, now)
	n.Prove(false, fresh[0], Mute, now)
	if s, _ := n.Stand(false, rules(), now, false); !slices.Equal(s.Addrs, old) {
		t.Errorf("the name moved, and where it moved to is mute: %+v", s)
	}
}

// TestOneProofAMinute holds that an address is not asked twice in a minute, whatever
// happens: another outage, a word of others, a handshake while the name was well.
func TestOneProofAMinute(t *testing.T) {
	r := rules()
	r.Demand = TLS
	one := pool(1)[0]
	n, now := healthy(says(5, one))
	n.Trying(one, now)
	n.Fail(false, NoData, now)
	s := Set{Addrs: pool(1)}
	ask := func(at Stamp) bool { return len(n.Due(false, &s, r, at, 0)) == 1 && n.MayAsk(false, one, at) }
	if n.Tried != now || ask(now.Add(apart-1e6)) || !ask(now.Add(apart)) {
		t.Error("after a trial")
	}
	now = now.Add(apart)
	n.Begun(false, one, now, 0)
	n.Learn(false, says(5, one), now.Add(time.Second))
	n.Fail(false, NoData, now.Add(2*time.Second))
	if ask(now.Add(apart-1e6)) || !ask(now.Add(apart)) {
		t.Error("another outage")
	}
	n.Begun(false, one, now.Add(apart), 0)
	now = now.Add(apart)
	from, _ := n.Member(false, one)
	word := Shared{Known: Name{V4: Kept{Members: []Member{{IP: one, Was: Refuted, Proved: now.Add(time.Second), Last: from.Last}}}}}
	n.Hear(&word, now.Add(2*time.Second), Grace)
	if ask(now.Add(apart-1e6)) || !ask(now.Add(apart)) {
		t.Error("a word of others")
	}
	if !ask(now.Add(-time.Hour)) {
		t.Error("a clock that is set back stops proofs")
	}
	if n.MayAsk(false, pool(2)[1], now) {
		t.Error("an address that is none of the name's")
	}
}

// TestAnExpiredCertificate holds when it proves: for a month, with the key or the issuer
// of the last good one.
func TestAnExpiredCertificate(t *testing.T) {
	good := Cert{Key: "k1", Issuer: "i1"}
	for _, c := range []struct {
		name string
		cert Cert
		ago  time.Duration
		want Proof
	}{
		{"as it was", good, time.Hour, Proven},
		{"at the bound", good, Lenience, Proven},
		{"too old", good, Lenience + 1, Mute},
		{"another key", Cert{"k2", "i1"}, time.Hour, Proven},
		{"another issuer", Cert{"k1", "i2"}, time.Hour, Proven},
		{"both", Cert{"k2", "i2"}, time.Hour, Mute},
		{"unknown", Cert{}, time.Hour, Mute},
	} {
		n, now := proven(1)
		one := pool(1)[0]
		n.Testify(false, one, &Evidence{Proof: Proven, Cert: good}, now)
		n.Testify(false, one, &Evidence{Proof: Proven, Cert: c.cert, Ended: c.ago}, now.Add(time.Minute))
		m, _ := n.Member(false, one)
		if m.Proof != c.want || m.Expired != (c.want == Proven) || (m.Why == Outdated) != (c.want == Mute) {
			t.Errorf("%s: %+v, want %v", c.name, m, c.want)
		}
		if n.Cert != good {
			t.Errorf("%s: an expired one is the last good one: %+v", c.name, n.Cert)
		}
		if !n.Testify(false, one, &Evidence{Proof: Proven, Cert: Cert{"k3", "i3"}}, now.Add(2*time.Minute)) || n.Cert.Key != "k3" {
			t.Errorf("%s: that it was renewed is no news", c.name)
		}
		if m, _ := n.Member(false, one); m.Expired || m.Why != NoReason {
			t.Errorf("%s, renewed: %+v", c.name, m)
		}
		n.Testify(false, one, &Evidence{Proof: Proven}, now) // a connection is no certificate
		if n.Cert.Key != "k3" {
			t.Errorf("%+v", n.Cert)
		}
	}
	var n Name
	if n.Weigh(&Evidence{Proof: Proven, Cert: Cert{}, Ended: time.Hour}) != Mute {
		t.Error("a name of which no certificate is known")
	}
}

// TestReasons holds that a refutation keeps its reason, and that words survive a disk.
func TestReasons(t *testing.T) {
	n, now := proven(1)
	one := pool(1)[0]
	for i := range 2 {
		n.Testify(false, one, &Evidence{Proof: Contradicts, Why: OtherText}, now.Add(time.Duration(i)*time.Second))
	}
	n.Testify(false, one, &Evidence{Proof: Mute, Why: Closing}, now.Add(time.Minute))
	n.Testify(false, one, &Evidence{}, now.Add(time.Minute))
	if m, _ := n.Member(false, one); m.Proof != Refuted || m.Why != OtherText {
		t.Errorf("%+v", m)
	}
	for r := NoReason; r <= Unheard; r++ {
		text, err := r.MarshalText()
		var back Reason
		if err != nil || back.UnmarshalText(text) != nil || back != r {
			t.Errorf("%d: %q", r, text)
		}
	}
	r := Closing
	if _ = r.UnmarshalText([]byte("x")); r != NoReason {
		t.Error("a word that nobody knows")
	}
}
