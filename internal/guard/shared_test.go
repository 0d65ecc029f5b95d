package guard

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestElected holds that all of a zone elect the same one, each about as often as
// any other, and that only the names of one who leaves move.
func TestElected(t *testing.T) {
	zone := []string{"dns1", "dns2", "dns3", "dns4"}
	count := map[string]int{}
	for i := range 4000 {
		name := fmt.Sprintf("n%d.example.", i)
		of := func(zone []string) (who string) {
			for _, o := range zone {
				if Elected(o, zone, name) {
					if who != "" {
						t.Fatalf("%s: %s and %s", name, who, o)
					}
					who = o
				}
			}
			return who
		}
		who := of(zone)
		count[who]++
		if left := of(zone[1:]); who != "dns1" && left != who {
			t.Fatalf("%s went from %s to %s when dns1 left", name, who, left)
		}
		if !Elected("alone", nil, name) || Elected(who, append(zone, who), name) != true {
			t.Fatal("one that is alone makes its own proofs")
		}
	}
	for _, o := range zone {
		if n := count[o]; n < 850 || n > 1150 {
			t.Errorf("%s is elected %d times of 4000", o, n)
		}
	}
}

// TestMergeTells holds what is worth telling: what is new, that a name fails or is
// well again, a proof while it fails; not that time passed.
func TestMergeTells(t *testing.T) {
	n, now := healthy(says(60, pool(2)...))
	var s Shared
	want := func(what string, worth Worth) {
		t.Helper()
		if got := s.Merge(n); got != worth {
			t.Errorf("%s is worth %d, want %d", what, got, worth)
		}
		if s.Merge(n) != Nothing {
			t.Errorf("%s is told twice", what)
		}
	}
	want("a name that is not there", Now)
	n.Learn(false, says(60, pool(2)...), now.Add(time.Minute))
	want("that it is as it was", Nothing)
	n.Learn(false, says(60, pool(2)...), now.Add(2*time.Hour))
	want("that it is as it was two hours ago", Later)
	now = now.Add(2 * time.Hour)
	for i := range 5 {
		n.Learn(false, says(60, pool(3)...), now.Add(time.Duration(i)*20*time.Second))
		if i < 3 {
			want("an address that was not seen often", Nothing)
		}
	}
	want("a new address", Later)
	now = now.Add(5 * time.Minute)
	n.Fail(false, NoData, now)
	want("that it fails", Now)
	n.Prove(false, pool(1)[0], Proven, now.Add(5*time.Second))
	want("a proof", Now)
	n.Prove(false, pool(1)[0], Silent, now.Add(time.Minute))
	want("that nothing was said", Nothing)
	n.Prove(false, pool(1)[0], Refuted, now.Add(65*time.Second))
	want("a refutation", Now)
	n.Learn(false, says(60, pool(3)...), now.Add(2*time.Minute))
	want("that it is well again", Now)
	n.Accept(now.Add(3 * time.Minute))
	want("that it is gone", Now)
	if s.Known.Known() {
		t.Errorf("kept: %+v", s.Known)
	}
}

// TestAdoptCountsFromTheBeginning holds that what is adopted stands in no longer
// than with who kept it.
func TestAdoptCountsFromTheBeginning(t *testing.T) {
	there, now := healthy(says(60, pool(1)...))
	there.Fail(false, NoData, now)
	var s Shared
	s.Merge(there)
	now = now.Add(10 * time.Minute)
	var n Name
	if !n.Adopt(twice(&s), now, nobody) || n.Adopt(twice(&s), now, nobody) {
		t.Fatal("it is adopted once")
	}
	n.Fail(false, NoData, now)
	wantStands(t, &n, now, pool(1)...)
	if _, why := n.Stand(false, rules(), now.Add(6*time.Minute), false); why != Expired {
		t.Errorf("a quarter of an hour after it began to fail: %v", why)
	}
	n.Learn(false, says(60, pool(1)...), now.Add(time.Hour))
	n.Fail(false, NoData, now.Add(2*time.Hour))
	if n.V4.Bad != now.Add(2*time.Hour) {
		t.Error("another failure begins when it begins")
	}
}

func nobody(Addr) bool { return false }

// TestAdoptedMembersProveThemselves holds that what two observers of this zone keep
// stands in at once, proven or not, and that all else proves itself first.
func TestAdoptedMembersProveThemselves(t *testing.T) {
	for _, proves := range []bool{true, false} {
		there, now := healthy(says(60, pool(1)...))
		if proves {
			there.Prove(false, pool(1)[0], Proven, now)
		}
		var s Shared
		s.Merge(there)
		far := append(by(&s, false), by(&s, false)...)
		for _, c := range []struct {
			what  string
			finds []Find
			good  bool
		}{
			{"two neighbors", twice(&s), true},
			{"a neighbor", by(&s, true), false},
			{"two of another zone", far, false},
			{"a neighbor and another zone", append(by(&s, true), far...), false},
			{"two neighbors and another zone", append(twice(&s), far...), true},
		} {
			var n Name
			if !n.Adopt(c.finds, now, nobody) {
				t.Fatal(c.what)
			}
			n = n.Clone() // its disk makes nothing of it
			n.Mend(now)
			n.Fail(false, NoData, now)
			_, why := n.Stand(false, rules(), now, false)
			if asks := len(n.Urgent(false, rules())) == 1; (why == Stands) != c.good || asks == c.good {
				t.Errorf("%s: %v, is asked at once: %v", c.what, why, asks)
			}
			var again Shared
			if again.Merge(&n); again.Known.Known() {
				t.Errorf("%s: what others said is handed on: %+v", c.what, again.Known.V4)
			}
			n.Prove(false, pool(1)[0], Mute, now)
			if due, _ := n.Newcomers(false, rules()); (len(due) == 1) == c.good {
				t.Errorf("%s: one that was mute is asked again: %v", c.what, due)
			}
			n.Prove(false, pool(1)[0], Proven, now)
			if _, why := n.Stand(false, rules(), now, false); why != Stands {
				t.Errorf("%s, after its own proof: %v", c.what, why)
			}
			if again.Merge(&n); !again.Known.Known() {
				t.Errorf("%s: its own proof is not told", c.what)
			}
		}
		var n Name
		n.Adopt(by(&s, true), now, nobody)
		n.Adopt(twice(&s), now, nobody)
		n.Fail(false, NoData, now)
		wantStands(t, &n, now, pool(1)...) // the second one was read later
		n = Name{}
		n.Adopt(by(&s, true), now, nobody)
		n.Learn(false, says(5, pool(1)...), now)
		n.Fail(false, NoData, now)
		if _, why := n.Stand(false, rules(), now, false); why != Young {
			t.Errorf("its own DNS said it once: %v", why)
		}
		if n.V4.Links != nil {
			t.Error("links that others know")
		}
	}
}

// TestNeverOverARefutation holds that no word of others brings back what was refuted
// here, or is mute here, nor spares more than an hour of proofs.
func TestNeverOverARefutation(t *testing.T) {
	one := pool(1)[0]
	for _, own := range []Proof{Refuted, Mute, Silent} {
		n, now := proven(1)
		n.Begun(false, one, now, 0)
		n.Prove(false, one, own, now)
		lie := n.Clone()
		lie.V4.Members[0].Was, lie.V4.Members[0].Proof = Proven, Proven
		for i := range 12 * 60 {
			now = now.Add(time.Minute)
			lie.V4.Members[0].Proved, lie.V4.Members[0].Own = now, now
			s := Shared{Known: lie}
			if n.Hear(&s, now, Grace) || n.Adopt(twice(&s), now, nobody) {
				t.Fatalf("%v: revived after %d minutes", own, i)
			}
		}
		if m, _ := n.Member(false, one); m.Proof != own {
			t.Errorf("%v became %v", own, m.Proof)
		}
	}
	n, now := proven(1)
	n.Begun(false, one, now, 0)
	n.Prove(false, one, Proven, now)
	asked := now
	for range 12 * 60 {
		now = now.Add(time.Minute)
		word := Shared{Known: Name{V4: Kept{Members: []Member{{IP: one, Was: Proven, Proved: now}}}}}
		n.Hear(&word, now, Grace)
		r := rules()
		r.Demand = TLS
		s, _ := n.Stand(false, r, now, false)
		if len(n.Due(false, &s, r, now, 0)) == 1 {
			if d := now.Sub(asked); d < 50*time.Minute || d > alone+time.Minute {
				t.Fatalf("asked after %v", d)
			}
			asked = now
			n.Begun(false, one, now, 0)
			n.Prove(false, one, Proven, now)
		}
		if now.Sub(asked) > alone+time.Minute {
			t.Fatal("not asked for an hour")
		}
	}
}

// TestAdoptTakesNothingFromWhoKnows holds that what is good here stays as it is, and
// that what was let go of is not taken from others.
func TestAdoptTakesNothingFromWhoKnows(t *testing.T) {
	there, now := healthy(says(60, pool(2)[1]))
	var s Shared
	s.Merge(there)
	n, _ := healthy(says(60, pool(1)...))
	before := n.Clone()
	if n.Adopt(by(&s, true), now, nobody) || !reflect.DeepEqual(n.Clone(), before) {
		t.Error("a name that is known was changed")
	}
	n.Accept(now)
	if n.Adopt(by(&s, true), now.Add(time.Second), nobody) {
		t.Error("what was let go of came back")
	}
	var fresh Name
	if fresh.Adopt(by(&s, true), now, func(Addr) bool { return true }) {
		t.Error("an address that is denied was adopted")
	}
}

// TestAdoptPrivate holds that private addresses are taken over within a zone only,
// and not where the name has been public.
func TestAdoptPrivate(t *testing.T) {
	there, now := healthy(says(60, addrs("10.1.2.3")...))
	var s Shared
	s.Merge(there)
	for _, c := range []struct {
		n          Name
		near, want bool
	}{{Name{}, true, true}, {Name{}, false, false}, {Name{V4: Kept{Kind: PublicKind}}, true, false}, {Name{V6: Kept{Kind: PublicKind}}, true, false}, {Name{V4: Kept{Kind: PrivateKind}}, true, true}} {
		if got := c.n.Adopt(by(&s, c.near), now, nobody); got != c.want {
			t.Errorf("near %v, %+v: adopted %v", c.near, c.n, got)
		}
	}
}

// TestMergeOfHistories holds over random lives of several resolvers that what they
// share has only what one of them had, keeps its bounds, survives its encoding,
// fits into a record, and comes to rest.
func TestMergeOfHistories(t *testing.T) {
	adopted := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		names := make([]Name, 3)
		now, s := noon, Shared{Name: "api.example.", Block: ".:53/"}
		ever := map[Addr]bool{}
		for range 200 {
			now = now.Add(time.Duration(r.IntN(60_000)) * time.Millisecond)
			n := &names[r.IntN(len(names))]
			v6 := r.IntN(3) == 0
			ip := pool(80)[r.IntN(80)]
			if v6 {
				b := ip.As16()
				b[0], b[1] = 0x20, 0x01
				ip = netip.AddrFrom16(b)
			}
			ever[ip] = true
			switch r.IntN(8) {
			case 0:
				n.Fail(v6, NoData, now)
			case 1:
				n.Prove(v6, ip, Proof(r.IntN(4)), now)
			case 2:
				if r.IntN(10) == 0 {
					n.Accept(now)
				}
			default:
				n.Learn(v6, says(uint32(r.IntN(300)), ip), now)
			}
			s.Merge(n)
			raw, err := json.Marshal(s)
			var back Shared
			if err == nil {
				err = json.Unmarshal(raw, &back)
			}
			if err != nil || len(raw) > 16<<10 {
				t.Fatalf("seed %d: %d bytes, %v", seed, len(raw), err)
			}
			s = back
			for _, k := range []*Kept{&s.Known.V4, &s.Known.V6} {
				if len(k.Members) > MaxMembers {
					t.Fatalf("seed %d: %d members", seed, len(k.Members))
				}
				for i := range k.Members {
					if m := &k.Members[i]; !ever[m.IP] || m.Last <= s.Known.Gone {
						t.Fatalf("seed %d: %+v", seed, m)
					}
				}
			}
			if s.Merge(n) != Nothing {
				t.Fatalf("seed %d: it does not come to rest", seed)
			}
			var cold Name
			if cold.Adopt(by(&s, r.IntN(2) == 0), now, nobody) {
				adopted++
			}
		}
	}
	if adopted < 1000 {
		t.Errorf("only %d times was anything adopted: this test looks at nothing", adopted)
	}
}

// by is what one observer says.
func by(s *Shared, near bool) []Find { return []Find{{Shared: *s, Near: near}} }

// twice is what two observers of this zone say.
func twice(s *Shared) []Find { return append(by(s, true), by(s, true)...) }
