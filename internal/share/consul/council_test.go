package consul

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// see returns a sighting written as "observer boot seq assigned_seq who's".
func see(observer, boot string, seq, assigned, of uint64) sighting {
	return sighting{"z/" + observer, "z", observer, &who{Boot: boot, AssignedSeq: of}, &op{Boot: boot, Seq: seq, AssignedSeq: assigned}}
}

// TestCouncil steps through what several stores show of one observer.
func TestCouncil(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps [][]sighting
		want  []string // boot and seq that count after each step, "" if none does
	}{
		{
			"the highest seq of any store",
			[][]sighting{{see("a", "x", 3, 1, 1), see("a", "x", 5, 1, 1)}, {see("a", "x", 4, 1, 1)}, {see("a", "x", 6, 1, 1)}, {}},
			[]string{"x 5", "x 5", "x 6", ""},
		},
		{
			"not without the assignment it was written for",
			[][]sighting{{see("a", "x", 1, 1, 0)}, {see("a", "x", 1, 1, 1)}, {see("a", "x", 2, 2, 1)}, {see("a", "x", 2, 2, 2)}},
			[]string{"", "x 1", "x 1", "x 2"},
		},
		{
			"a new boot counts, and the one before does not come back beside it",
			[][]sighting{
				{see("a", "x", 9, 1, 1)},
				{see("a", "x", 9, 1, 1), see("a", "y", 1, 1, 1)},
				{see("a", "y", 1, 1, 1)},
				{see("a", "x", 9, 1, 1), see("a", "y", 1, 1, 1)},
				{see("a", "x", 9, 1, 1)},
			},
			[]string{"x 9", "y 1", "y 1", "y 1", "x 9"},
		},
		{
			"of two that were there from the start the one that moves",
			[][]sighting{
				{see("a", "x", 9, 1, 1), see("a", "y", 1, 1, 1)},
				{see("a", "x", 9, 1, 1), see("a", "y", 1, 1, 1)},
				{see("a", "x", 9, 1, 1), see("a", "y", 2, 1, 1)},
			},
			[]string{"", "", "y 2"},
		},
	} {
		council := newCouncil()
		for i, seen := range c.steps {
			got := strings.TrimPrefix(strings.TrimSpace(summary(council.merge(seen, time.Now()))), "z/a ")
			if got != c.want[i] {
				t.Errorf("%s: step %d counts %q, want %q", c.name, i, got, c.want[i])
			}
		}
	}
}

// TestCouncilForgets bounds what strangers can make it remember.
func TestCouncilForgets(t *testing.T) {
	c := newCouncil()
	const crowd = maxKnown/4 + 1
	for i := range 20 {
		var seen []sighting
		for o := range crowd {
			seen = append(seen, see(fmt.Sprint("o", i%6, ".", o), fmt.Sprint("b", i), 1, 1, 1))
		}
		c.merge(seen, time.Now())
	}
	if len(c.known) > maxKnown+crowd {
		t.Errorf("%d observers are remembered", len(c.known))
	}
	for observer, p := range c.known {
		if len(p.lives) > maxBoots {
			t.Errorf("%d boots of %s are remembered", len(p.lives), observer)
		}
	}
}

func TestAges(t *testing.T) {
	c := newCouncil()
	now := time.Now()
	s := see("a", "x", 1, 1, 1)
	s.op.Judged = group([]share.Judged{{ID: 1, Verdict: health.Down, Cause: health.CauseTimeout, Age: 5 * time.Second}})
	l := c.merge([]sighting{s}, now)[0]
	if got := l.aged(now.Add(time.Minute)).Judged[0].Age; got != 65*time.Second {
		t.Errorf("a minute later the verdict is %s old", got)
	}
	if got := l.aged(now).Judged[0].Age; got != 5*time.Second {
		t.Errorf("the verdict itself got older: %s", got)
	}
}
