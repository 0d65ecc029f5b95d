package guard

import (
	"slices"
	"testing"
	"time"
)

// TestWhatOneOfTwoProved holds that what two neighbors keep, of a name that both know to prove
// itself, stands in for as long as proven members do if one of them proved it, and for as
// long as others do if none did.
func TestWhatOneOfTwoProved(t *testing.T) {
	one := pool(1)[0]
	for _, proved := range []int{0, 1, 2} {
		var finds []Find
		var now Stamp
		for i := range 2 {
			var there *Name
			there, now = healthy(says(60, one))
			there.Proves = true
			if i < proved {
				there.Prove(false, one, Proven, now.Add(time.Duration(i)*time.Second))
			}
			var s Shared
			s.Merge(there)
			finds = append(finds, by(&s, true)...)
		}
		var n Name
		n.Adopt(finds, now.Add(time.Minute), nobody)
		n.Fail(false, NoData, now.Add(time.Minute))
		_, why := n.Stand(false, rules(), now.Add(time.Hour), false)
		if m, _ := n.Member(false, one); (why == Stands) != (proved > 0) || proved == 2 && m.Proved != now.Add(time.Second) {
			t.Errorf("%d of two proved it: %v, %+v", proved, why, m)
		}
	}
}

// TestWhatIsTakenOverBesideAddresses holds that who knows nothing takes the chain, the usual
// size and what the name is known to be, and that who knows a little keeps its own.
func TestWhatIsTakenOverBesideAddresses(t *testing.T) {
	there, now := healthy(&Answer{Addrs: pool(2), TTL: 60, Chain: []string{"edge.example."}})
	there.Proves = true
	var s Shared
	s.Merge(there)
	var n Name
	n.Adopt(twice(&s), now, nobody)
	n.Fail(false, NoData, now)
	if set, _ := n.Stand(false, rules(), now, false); !slices.Equal(set.Chain, []string{"edge.example."}) || len(set.Addrs) != 2 || !n.Proves || n.Good() != now {
		t.Errorf("%+v, %+v", set, n)
	}
	n = Name{}
	n.Learn(false, &Answer{Addrs: addrs("198.51.100.1"), TTL: 5, Chain: []string{"own.example."}}, now.Add(time.Second))
	n.Adopt(by(&s, true), now.Add(time.Second), nobody)
	if n.Proves {
		t.Error("one word is enough to demand proofs of what the name's own DNS says")
	}
	proved := n.Clone()
	if proved.Prove(false, pool(2)[0], Proven, now.Add(time.Second)); !proved.Proves {
		t.Error("what was lent proved itself, and the name is not known to")
	}
	n = Name{}
	n.Learn(false, &Answer{Addrs: addrs("198.51.100.1"), TTL: 5, Chain: []string{"own.example."}}, now.Add(time.Second))
	n.Adopt(twice(&s), now.Add(time.Second), nobody)
	if !n.Proves {
		t.Error("it is not known that the name proves itself")
	}
	if k := &n.V4; !slices.Equal(k.Chain, []string{"own.example."}) || k.Good != now.Add(time.Second) || len(k.Members) != 3 {
		t.Errorf("what its own DNS said: %+v", k)
	}
}

// TestAWordThatRefutes holds that a member of which another observer says that it is not
// the name's any more proves itself sooner, unless it failed to from here.
func TestAWordThatRefutes(t *testing.T) {
	one := pool(1)[0]
	r := rules()
	r.Demand = TLS
	for _, own := range []Proof{Proven, Mute} {
		for _, said := range []Proof{Refuted, Unproven} {
			n, now := proven(1)
			for range 2 { // the next proof is two minutes after the second one
				now = now.Add(time.Minute)
				n.Begun(false, one, now, 0)
				n.Prove(false, one, own, now)
			}
			now = now.Add(apart + time.Second)
			word := Shared{Known: Name{V4: Kept{Members: []Member{{IP: one, Was: said, Proved: now}}}}}
			if n.Hear(&word, now, Grace) {
				t.Error("that is no news to tell")
			}
			s := Set{Addrs: pool(1)}
			if due := len(n.Due(false, &s, r, now, 0)) == 1; due != (own == Proven && said == Refuted) {
				t.Errorf("%v here, %v there: is asked %v", own, said, due)
			}
		}
	}
}

// TestWhoseProofIsTold holds that a resolver tells its own last proof of a member, and
// nothing that it only heard of.
func TestWhoseProofIsTold(t *testing.T) {
	one := pool(1)[0]
	for _, c := range []struct {
		name        string
		own, heard  bool
		was         Proof
		afterMinute time.Duration // the proof that is told
	}{
		{"its own", true, false, Proven, 1},
		{"its own, and another one's since", true, true, Proven, 1},
		{"another one's", false, true, Unproven, 0},
		{"none", false, false, Unproven, 0},
	} {
		n, begun := healthy(says(5, one))
		n.Proves = true
		n.Fail(false, NoData, begun)
		want := Stamp(0)
		if c.own {
			want = begun.Add(c.afterMinute * time.Minute)
			n.Prove(false, one, Proven, want)
		}
		if c.heard {
			at := begun.Add(5 * time.Minute)
			word := Shared{Known: Name{V4: Kept{Members: []Member{{IP: one, Was: Proven, Proved: at}}}}}
			if !n.Hear(&word, at, Grace) {
				t.Errorf("%s: not heard", c.name)
			}
		}
		var s Shared
		s.Merge(n)
		if m, _ := s.Known.Member(false, one); m.Was != c.was || m.Proved != want {
			t.Errorf("%s: told is %+v", c.name, m)
		}
	}
}

// TestWhatANameIsKnownToBe holds that this is told once, and taken back by nobody who does
// not know it.
func TestWhatANameIsKnownToBe(t *testing.T) {
	for name, mark := range map[string]func(*Name) *bool{
		"it proves itself": func(n *Name) *bool { return &n.Proves }, "it is signed": func(n *Name) *bool { return &n.Secure },
	} {
		n, _ := healthy(says(5, pool(1)...))
		var s Shared
		s.Merge(n)
		*mark(n) = true
		if w := s.Merge(n); w != Later || !*mark(&s.Known) {
			t.Errorf("%s: worth %d", name, w)
		}
		if w := s.Merge(n); w != Nothing {
			t.Errorf("%s: told twice", name)
		}
		*mark(n) = false
		if w := s.Merge(n); w != Nothing || !*mark(&s.Known) {
			t.Errorf("%s: taken back", name)
		}
	}
}

// TestTheDeskAndTheMarket hold what they are given until it is taken away, and nothing
// before.
func TestTheDeskAndTheMarket(t *testing.T) {
	var d Desk
	var heard []string
	tell := func(text string) { d.Tell(Event{Text: text}) }
	tell("before")
	d.Listen(func(e Event) { heard = append(heard, e.Text) })
	tell("while")
	d.Listen(nil)
	tell("after")
	if !slices.Equal(heard, []string{"while"}) {
		t.Errorf("heard %q", heard)
	}
	var m Market
	if m.Exchange() != nil {
		t.Error("an exchange before one is opened")
	}
	x := &stall{}
	if m.Open(x); m.Exchange() != Exchange(x) {
		t.Error("another exchange than the one that was opened")
	}
	if m.Open(nil); m.Exchange() != nil {
		t.Error("an exchange after it was closed")
	}
}

// stall is an exchange without anything in it.
type stall struct{ Exchange }

// TestWhoIsElectedIsNotLateAgain holds that a resolver which heard another one's proof makes
// the next one before the others would, if it is the one that is elected.
func TestWhoIsElectedIsNotLateAgain(t *testing.T) {
	one := pool(1)[0]
	when := func(grace time.Duration) Stamp {
		n, now := proven(1)
		now = now.Add(time.Minute)
		word := Shared{Known: Name{V4: Kept{Members: []Member{{IP: one, Was: Proven, Proved: now}}}}}
		if !n.Hear(&word, now, grace) {
			t.Fatal("not heard")
		}
		m, _ := n.Member(false, one)
		return m.next
	}
	if d := when(Grace).Sub(when(0)); d != Grace {
		t.Errorf("the others are later by %v", d)
	}
}
