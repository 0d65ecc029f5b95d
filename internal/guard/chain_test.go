package guard

import (
	"slices"
	"testing"
	"time"
)

func chained(chain ...string) *Answer {
	return &Answer{Addrs: pool(1), TTL: 5, Chain: chain}
}

// TestLinksAreKnown holds that a link is followed once it was seen three times over a
// minute, each for itself: what a chain leads to at its end may change with each answer.
func TestLinksAreKnown(t *testing.T) {
	n, now := healthy(chained("a.", "b.", "c."))
	r := rules()
	if got := n.Follow(false, r, now); len(got) != 3 {
		t.Errorf("%v", got)
	}
	n.Learn(false, chained("a.", "x.", "c."), now.Add(time.Second))
	if got := n.Follow(false, r, now); !slices.Equal(got, []string{"a."}) {
		t.Errorf("the rest is new: %v", got)
	}
	n.Fail(false, NoData, now.Add(2*time.Second))
	for after, want := range map[time.Duration]int{r.KeepUnproven: 1, r.KeepUnproven + 1e6: 0} {
		if got := n.Follow(false, r, now.Add(2*time.Second+after)); len(got) != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	n.Prove(false, pool(1)[0], Proven, now)
	if got := n.Follow(false, r, now.Add(time.Hour)); len(got) != 1 {
		t.Errorf("of a name that proves itself: %v", got)
	}
	n.Fail(false, Bogus, now)
	if n.Follow(false, r, now) != nil {
		t.Error("wrong signatures are not masked")
	}
	n, now = &Name{}, noon
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {30 * time.Second, 0}, {59 * time.Second, 0}, {60 * time.Second, 1}} {
		n.Learn(false, chained("a."), now.Add(c.after))
		if got := n.Follow(false, r, now.Add(c.after)); len(got) != c.want {
			t.Errorf("%v after it came up: %v", c.after, got)
		}
	}
	n = &Name{}
	n.Learn(false, chained("a."), now)
	n.Fail(false, NoData, now.Add(time.Second))
	n.Learn(false, chained("a."), now.Add(time.Hour))
	n.Learn(false, chained("a."), now.Add(time.Hour+time.Second))
	if n.Follow(false, r, now.Add(time.Hour)) != nil {
		t.Error("time in which answers failed makes no link known")
	}
	n, now = healthy(chained("a."))
	c := n.Clone()
	if c.Mend(now); len(c.Follow(false, r, now)) != 1 {
		t.Errorf("a restart: %+v", c.V4)
	}
	c.V4.Links = c.V4.Links[:0]
	if c.Mend(now); c.Follow(false, r, now) != nil || c.V4.Links != nil {
		t.Errorf("links without a chain: %+v", c.V4)
	}
}

// TestFar holds what of a target's answer stands in, and that it does when nothing else
// is left to ask, before what the name itself said.
func TestFar(t *testing.T) {
	old, moved := pool(1), addrs("198.51.100.7")
	n, now := healthy(chained("a."))
	if got := n.Far(false, moved, now); !slices.Equal(got, moved) || n.V4.find(moved[0]) != nil {
		t.Errorf("while the name is well: %v", got)
	}
	n.Fail(false, NoData, now)
	for range 5 {
		now = now.Add(20 * time.Second)
		n.Far(false, moved, now)
	}
	wantStands(t, n, now, moved...)
	if n.Far(false, addrs("10.0.0.1"), now) != nil {
		t.Error("a private address of a public name")
	}
	n.Prove(false, moved[0], Refuted, now)
	if got := n.Far(false, append(addrs("198.51.100.8"), moved...), now); len(got) != 1 {
		t.Errorf("what was refuted came back: %v", got)
	}
	for i := range 20 {
		var many []Addr
		for j := range MaxMembers {
			many = append(many, pool(250)[(i*40+j)%250])
		}
		if got := n.Far(false, many, now.Add(time.Duration(i)*time.Second)); len(got) > MaxAnswer || len(n.V4.Members) > MaxMembers {
			t.Fatalf("%d, %d members", len(got), len(n.V4.Members))
		}
	}
	if n.Learn(false, says(5, old...), now.Add(time.Minute)); n.V4.Fresh != 0 {
		t.Error("the name is well again")
	}
}
