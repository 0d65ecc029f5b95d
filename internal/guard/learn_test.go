package guard

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// noon is where tests begin.
const noon = Stamp(1_800_000_000_000)

func rules() *Rules {
	return &Rules{
		On: Usual, KeepProven: 24 * time.Hour, KeepUnproven: 15 * time.Minute, TTL: 15 * time.Second,
		Place: func(ip Addr) string { p, _ := ip.Prefix(16); return p.String() },
	}
}

func addrs(texts ...string) (out []Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

// pool returns n addresses.
func pool(n int) (out []Addr) {
	for i := range n {
		out = append(out, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}))
	}
	return out
}

func says(ttl uint32, ips ...Addr) *Answer { return &Answer{Addrs: ips, TTL: ttl} }

// healthy makes a name that has had this answer every 20 s for two minutes; now is
// the last time.
func healthy(a *Answer) (n *Name, now Stamp) {
	n = &Name{}
	for now = noon; ; now = now.Add(20 * time.Second) {
		n.Learn(false, a, now)
		if now.Sub(noon) >= 2*time.Minute {
			return n, now
		}
	}
}

func wantStands(t *testing.T, n *Name, now Stamp, want ...Addr) {
	t.Helper()
	s, why := n.Stand(false, rules(), now, false)
	slices.SortFunc(s.Addrs, Addr.Compare)
	if !slices.Equal(s.Addrs, want) {
		t.Fatalf("stands in: %v (%v), want %v", s.Addrs, why, want)
	}
}

// TestARotatingPoolIsKept holds that a name that rotates through 40 addresses, 4 an
// answer and never the same set twice, stands in with 4 of them.
func TestARotatingPoolIsKept(t *testing.T) {
	n, now, all := &Name{}, noon, pool(40)
	for i := range 600 {
		var ips []Addr
		for j := range 4 {
			ips = append(ips, all[(i*7+j*11)%40])
		}
		n.Learn(false, says(5, ips...), now)
		now = now.Add(10 * time.Second)
	}
	if u := n.V4.Usual(); u != 4 || len(n.V4.Members) != 40 {
		t.Fatalf("usual size %d of %d members", u, len(n.V4.Members))
	}
	n.Fail(false, NoData, now)
	s, why := n.Stand(false, rules(), now, false)
	if why != Stands || len(s.Addrs) != 4 {
		t.Fatalf("%v: %v", why, s)
	}
	for i, ip := range s.Addrs {
		if !slices.Contains(all, ip) || slices.Contains(s.Addrs[:i], ip) {
			t.Errorf("%v stands in", s.Addrs)
		}
	}
}

// TestRenumbering holds that old members are not served when the new ones are good,
// and are forgotten after an hour of answers without them.
func TestRenumbering(t *testing.T) {
	before, after := addrs("192.0.2.1", "192.0.2.2"), addrs("198.51.100.1", "198.51.100.2")
	n, now := healthy(says(5, before...))
	for range 6 {
		now = now.Add(15 * time.Second)
		n.Learn(false, says(5, after...), now)
	}
	n.Fail(false, NXDomain, now)
	wantStands(t, n, now, after...)
	for range 4 * 61 {
		now = now.Add(15 * time.Second)
		n.Learn(false, says(5, after...), now)
	}
	if len(n.V4.Members) != 2 {
		t.Errorf("an hour later: %v", n.V4.Members)
	}
}

// TestMembersLiveForTwentyLifetimes holds that a long TTL keeps members for longer
// than an hour, and that an absurd one overflows nothing.
func TestMembersLiveForTwentyLifetimes(t *testing.T) {
	for _, c := range []struct {
		ttl  uint32
		gone time.Duration // without it
		left int
	}{{5, 59 * time.Minute, 2}, {5, 61 * time.Minute, 1}, {600, 199 * time.Minute, 2}, {600, 201 * time.Minute, 1}, {1<<31 - 1, time.Minute, 2}} {
		n, now := healthy(says(c.ttl, pool(2)...))
		n.Learn(false, says(c.ttl, pool(1)...), now.Add(c.gone))
		if len(n.V4.Members) != c.left {
			t.Errorf("TTL %d, %v later: %v", c.ttl, c.gone, n.V4.Members)
		}
	}
}

// TestAFailureMakesNothingOldOrGood holds that time in which answers failed counts
// neither against a member nor for one.
func TestAFailureMakesNothingOldOrGood(t *testing.T) {
	n, now := healthy(says(5, pool(2)...))
	forged := addrs("203.0.113.66")
	for range 3 {
		now = now.Add(time.Second)
		n.Learn(false, says(5, forged...), now)
	}
	n.Fail(false, NoData, now)
	now = now.Add(3 * time.Hour)
	n.Learn(false, says(5, pool(1)...), now)
	if len(n.V4.Members) != 3 {
		t.Errorf("forgotten for what it could not answer: %v", n.V4.Members)
	}
	if n.V4.find(forged[0]).Good() {
		t.Error("seen for two seconds, and good after a failure")
	}
	n.Fail(false, NoData, now)
	wantStands(t, n, now, pool(2)...)
}

// TestStrangersDoNotPushOutTheGood holds that an answer full of new addresses does
// not make the good members be forgotten.
func TestStrangersDoNotPushOutTheGood(t *testing.T) {
	n, now := healthy(says(5, pool(2)...))
	var forged []Addr
	for i := range MaxMembers {
		forged = append(forged, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
	}
	for i := range 3 {
		n.Learn(false, says(5, forged...), now.Add(time.Duration(i)*time.Second))
	}
	now = now.Add(10 * time.Second)
	n.Fail(false, NoData, now)
	if len(n.V4.Members) > MaxMembers {
		t.Errorf("%d members", len(n.V4.Members))
	}
	wantStands(t, n, now, pool(2)...)
}

// TestAWithdrawnFamily holds that an empty answer for one family is believed when
// the other one's answer was just fetched from the name's own servers.
func TestAWithdrawnFamily(t *testing.T) {
	for _, c := range []struct {
		name string
		why  Failure
		ttls []uint32 // of the other family, one each 30 s, the last after the failure
		want bool
	}{
		{"fetched", NoData, []uint32{60, 60, 60, 60}, true},
		{"from a cache", NoData, []uint32{60, 60, 60, 17}, false},
		{"seen once", NoData, []uint32{60}, false},
		{"another failure", Servfail, []uint32{60, 60, 60, 60}, false},
		{"a caching upstream all along", NoData, []uint32{44, 14, 44, 14, 43, 13}, false},
	} {
		n, now := &Name{}, noon
		for i, ttl := range c.ttls {
			n.Learn(true, says(60, addrs("2001:db8::1")...), now)
			if i == len(c.ttls)-1 {
				n.Fail(true, c.why, now)
			}
			n.Learn(false, says(ttl, pool(1)...), now)
			now = now.Add(30 * time.Second)
		}
		if got := n.Withdrawn(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if n.V6.Members == nil != c.want {
			t.Errorf("%s: members %v", c.name, n.V6.Members)
		}
	}
}

// TestABusyCacheIsNoEvidence holds the same for a name that is asked for so often
// that a cache's answers repeat within a second.
func TestABusyCacheIsNoEvidence(t *testing.T) {
	n, now := &Name{}, noon
	v6 := addrs("2001:db8::1")
	for range 4 {
		n.Learn(true, says(60, v6...), now)
		now = now.Add(30 * time.Second)
	}
	for left := 60; left > 5; left-- { // a cache counts down; a hundred answers a second
		if left == 30 {
			n.Fail(true, NoData, now)
		}
		for range 100 {
			n.Learn(false, says(uint32(left), pool(1)...), now)
			now = now.Add(10 * time.Millisecond)
			if left <= 30 && n.Withdrawn() {
				t.Fatalf("given up for an answer from a cache, %d s left", left)
			}
		}
	}
}

// TestAShorterTTLIsNoticed holds that a name whose TTL was lowered is not taken for
// cached forever.
func TestAShorterTTLIsNoticed(t *testing.T) {
	k := &Kept{}
	now := noon
	for range 10 {
		k.rank(300, now)
		now = now.Add(5 * time.Minute)
	}
	for range 120 {
		k.rank(30, now)
		now = now.Add(30 * time.Second)
	}
	if k.TTL, k.Good = 30, now; !k.fetchedSince(now) {
		t.Errorf("top %d, seen %d times", k.late.top, k.late.tops)
	}
}

// TestLearningNothingNewAllocatesNothing holds a promise of Learn.
func TestLearningNothingNewAllocatesNothing(t *testing.T) {
	a := says(5, pool(4)...)
	a.Chain = []string{"edge.example."}
	n, now := healthy(a)
	if got := testing.AllocsPerRun(100, func() { now = now.Add(time.Second); n.Learn(false, a, now) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestJSON holds that what is kept survives a round trip, the usual size included,
// and that words nobody knows become the least claim.
func TestJSON(t *testing.T) {
	n, now := healthy(&Answer{Addrs: pool(3), TTL: 5, Chain: []string{"edge.example."}, Signed: &Signed{Wire: []byte{1}, From: 1, Until: 2, IPs: pool(1)}})
	n.Prove(false, pool(1)[0], Proven, now)
	n.Prove(false, pool(2)[1], Refuted, now)
	n.Learn(true, says(9, addrs("2001:db8::1")...), now)
	n.Fail(false, Bogus, now)
	want := n.Clone()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Name
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	got.Mend(now)
	again, err := json.Marshal(got)
	if err != nil || string(again) != string(text) {
		t.Errorf("%v\n%s\n%s", err, text, again)
	}
	if got.V4.Usual() != 3 || got.V4.Bad != now || got.V4.Why != Bogus || !reflect.DeepEqual(got.V4.Signed, n.V4.Signed) {
		t.Errorf("%+v", got.V4)
	}
	n.V4.Members[0].Times = 9
	if want.V4.Members[0].Times == 9 {
		t.Error("a clone shares its members")
	}
	if err := json.Unmarshal([]byte(`{"v4":{"why":"x","members":[{"ip":"192.0.2.1","proof":"x","was":"proven"}]}}`), &got); err != nil || got.V4.Why != None || got.V4.Members[0].Proof != Unproven {
		t.Errorf("%v %+v", err, got.V4)
	}
	for _, text := range []string{`{"v4":{"why":3}}`, `{"v4":{"members":[{"ip":"x"}]}}`, `{"v4":{"members":[{"times":300}]}}`} {
		if json.Unmarshal([]byte(text), &got) == nil {
			t.Errorf("read %s", text)
		}
	}
}

// TestWords holds that each word of the configuration is read back.
func TestWords(t *testing.T) {
	for f := NXDomain; f <= Shrink; f++ {
		if got, err := ParseFailure(f.String()); got != f || err != nil || !Failures(0).With(f).Has(f) {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	if _, err := ParseFailure("none"); err == nil {
		t.Error("none is no failure")
	}
	for r := Stands; r <= Crowded; r++ {
		if r.String() == "" {
			t.Errorf("no words for refusal %d", r)
		}
	}
	if s := fmt.Sprint(Unproven, Proven, Refuted, Silent); s != "unproven proven refuted silent" {
		t.Error(s)
	}
}
