package failover

import (
	"fmt"
	"math"
	"testing"
)

const roomy = math.MaxUint64

// fill lets n questions in, made of their number, and returns how many entered.
func fill(d *door, n int, name func(int) string) (entered int) {
	for i := range n {
		if _, ok := d.enter(name(i)); ok {
			entered++
		}
	}
	return entered
}

func one(name string) func(int) string { return func(int) string { return name } }

// TestDoorLeavesPlaces: whatever many questions are about whose servers are silent,
// there is room for others; and never for more than the room.
func TestDoorLeavesPlaces(t *testing.T) {
	random := func(below string) func(int) string {
		return func(i int) string { return fmt.Sprintf("x%d.%s", i, below) }
	}
	const half, share = maxRoom / 2, maxRoom / 16
	for _, c := range []struct {
		what    string
		storm   func(int) string
		want    int      // of these enter
		refused string   // a zone that has no more room, "" if all have
		admits  []string // others that have
	}{
		{"one name", one("api.dead.example."), half, "api.dead.example.", []string{"www.dead.example.", "a.example."}},
		{"names below one", random("dead.example."), half, "y.dead.example.", []string{"www.live.example.", "host."}},
		{"a region", random("elb.us-east-1.example.com."), half, "y.elb.us-east-1.example.com.", []string{"elb.eu-west-1.example.com.", "y.us-east-1.example.com.", "example.com."}},
		{"a region, deep", random("a.b.c.us-east-1.example.com."), half, "y.A.b.C.us-east-1.example.com.", []string{"y.a.b.c.eu-west-1.example.com."}},
		{"everything", func(i int) string { return fmt.Sprintf("www.x%d.example%d.", i, i) }, maxRoom, "", nil},
	} {
		d := newDoor(roomy, roomy)
		if got := fill(d, 2*maxRoom, c.storm); got != c.want {
			t.Errorf("%s: %d entered, want %d", c.what, got, c.want)
		}
		if c.refused != "" {
			if _, ok := d.enter(c.refused); ok {
				t.Errorf("%s: one more for %s", c.what, c.refused)
			}
		}
		for _, name := range c.admits {
			if got := fill(d, share, one(name)); got < share/2 {
				t.Errorf("%s: %d entered for %s, want %d", c.what, got, name, share)
			}
		}
		if n := d.waiting.Load(); n > maxRoom {
			t.Errorf("%s: %d wait", c.what, n)
		}
	}
}

// TestDoorGivesBack: when all that entered have left nothing is counted, and what
// was refused took no place.
func TestDoorGivesBack(t *testing.T) {
	d := newDoor(roomy, roomy)
	var in []place
	for i := range 2 * maxRoom {
		if p, ok := d.enter(fmt.Sprintf("x%d.y%d.example.", i, i%3)); ok {
			in = append(in, p)
		}
	}
	if refused := 2*maxRoom - len(in); d.waiting.Load() != int64(len(in)) || d.refused.Load() != uint64(refused) {
		t.Errorf("%d wait and %d were refused, of %d that entered", d.waiting.Load(), d.refused.Load(), len(in))
	}
	for i := range in {
		d.leave(&in[i])
	}
	left := d.waiting.Load()
	for l := range d.zones {
		for i := range d.zones[l] {
			left += int64(d.zones[l][i].Load())
		}
	}
	if left != 0 {
		t.Errorf("%d are still counted", left)
	}
	if d.full.Load() == nil {
		t.Error("it is not known which zone had its share")
	}
}

// TestRoom: a process with little memory or few open files lets fewer wait.
func TestRoom(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		memory, files uint64
		want          int64
	}{
		{roomy, roomy, 4096},
		{math.MaxInt64, 1 << 20, 4096},
		{58 * mb, roomy, 593}, // of a container with 64
		{115 * mb, roomy, 1177},
		{512 * mb, 4096, 1024},
		{512 * mb, 20_000, 4096},
		{mb, 100, 64},
	} {
		if got := newDoor(c.memory, c.files).room; got != c.want {
			t.Errorf("%d bytes and %d files: room for %d, want %d", c.memory, c.files, got, c.want)
		}
	}
}

func TestEnds(t *testing.T) {
	for name, want := range map[string][]string{
		".":              {},
		"com.":           {"com."},
		"a.b.":           {"b.", "a.b."},
		"a.b.c.d.e.f.g.": {"g.", "f.g.", "e.f.g.", "d.e.f.g.", "c.d.e.f.g."},
		"":               {},
	} {
		var ends [maxLabels + 1]end
		n := endsOf(name, &ends)
		if n != len(want) {
			t.Errorf("%q has %d labels, want %d", name, n, len(want))
			continue
		}
		for i, text := range want {
			if got := name[ends[i+1].at:]; got != text {
				t.Errorf("%q: the last %d are %q, want %q", name, i+1, got, text)
			}
		}
	}
	var upper, lower [maxLabels + 1]end
	endsOf("WWW.Example.COM.", &upper)
	endsOf("www.example.com.", &lower)
	if upper != lower {
		t.Error("upper case is another zone")
	}
}
