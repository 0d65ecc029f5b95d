package guard

import "testing"

// TestBeganOf holds that since when a name fails is what two observers of this zone say,
// whatever a third one does.
func TestBeganOf(t *testing.T) {
	for _, c := range []struct {
		says []Stamp
		want Stamp
	}{
		{nil, 0},
		{[]Stamp{1}, 0},
		{[]Stamp{0, 0, 1}, 0},
		{[]Stamp{500, 600}, 600},
		{[]Stamp{1, 500, 600}, 500},
		{[]Stamp{500, 1, 0}, 500},
		{[]Stamp{500, 600, 1 << 60}, 600},
	} {
		var near []*Name
		for _, bad := range c.says {
			near = append(near, &Name{V4: Kept{Bad: bad}})
		}
		if got := beganOf(near, false); got != c.want {
			t.Errorf("of %v: %d, want %d", c.says, got, c.want)
		}
	}
}
