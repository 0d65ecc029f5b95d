package consul

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/source"
)

var t0 = time.Unix(1e9, 0)

func found(datacenter string, last ...int) (out []source.Instance) {
	for _, n := range last {
		out = append(out, source.Instance{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), Region: "a/b", Weight: 1, Status: source.Passing, Datacenter: datacenter})
	}
	return out
}

// seen writes the last numbers of the addresses, with ! behind those that are gone.
func seen(list []source.Instance) string {
	var out []string
	for _, in := range list {
		mark := ""
		if !in.Listed() {
			mark = "!"
		}
		out = append(out, fmt.Sprint(in.Addr.As4()[3], mark))
	}
	return strings.Join(out, " ")
}

// step is an answer and what must be known after it.
type step struct {
	second int
	answer answer
	err    error
	want   string
	index  uint64 // of the next query
}

func good(index uint64, last ...int) answer {
	return answer{index: index, knownLeader: true, instances: found("", last...)}
}

func change(a answer, f func(*answer)) answer { f(&a); return a }

func TestFeed(t *testing.T) {
	noLeader := func(a *answer) { a.knownLeader = false }
	old := func(a *answer) { a.lastContact = maxContact + 1 }
	hidden := func(a *answer) { a.hidden = true }
	for name, steps := range map[string][]step{
		"what Consul lists is taken, also less of it": {
			{0, good(5, 1, 2), nil, "1 2", 5},
			{1, good(6, 2), nil, "2", 6},
		},
		"none at first is none": {
			{0, good(5), nil, "", 5},
			{1, good(6, 1), nil, "1", 6},
		},
		"an empty answer takes nothing away": {
			{0, good(5, 1, 2), nil, "1 2", 5},
			{1, good(6), nil, "1! 2!", 6},
			{5, good(7), nil, "1! 2!", 7},   // too soon
			{60, good(7), nil, "1! 2!", 7},  // later, at a later index: emptied, and kept
			{70, good(8, 2), nil, "2", 8},   // one is back
			{80, good(9), nil, "2!", 9},     // and the count begins anew
			{81, good(10, 2), nil, "2", 10}, // a moment
			{100, good(11), nil, "2!", 11},  // another
			{105, good(12), nil, "2!", 12},  // not 10 s after the first of this row
		},
		"an index that goes back is read anew": {
			{0, good(50, 1), nil, "1", 50},
			{1, good(40, 2), errReset, "1", 0},
			{2, good(40, 2), nil, "2", 40},
		},
		"an index of 0": {
			{0, good(50, 1), nil, "1", 50},
			{1, good(0, 2), errReset, "1", 0},
			{2, good(0, 3), errNoIndex, "1", 0},
			{3, good(7, 4), nil, "4", 7},
		},
		"an index that goes back empties nothing": {
			{0, good(50, 1), nil, "1", 50},
			{1, good(40), errReset, "1", 0},
			{2, good(40), nil, "1!", 40},
			{15, good(41), nil, "1!", 41},
		},
		"without a leader nothing is news": {
			{0, good(5, 1), nil, "1", 5},
			{1, change(good(6, 2), noLeader), errLeader, "1", 5},
			{2, change(good(6), noLeader), errLeader, "1", 5},
		},
		"nor from a server that lost it": {
			{0, good(5, 1), nil, "1", 5},
			{1, change(good(6, 2), old), errOld, "1", 5},
		},
		"nor where the token hides some": {
			{0, good(5, 1, 2), nil, "1 2", 5},
			{1, change(good(6, 1), hidden), errHidden, "1 2", 5},
			{2, change(good(6), hidden), errHidden, "1 2", 5},
		},
		"old news is better than none": {
			{0, change(good(5, 1), old), errOld, "1", 0},
			{1, change(good(6, 2), old), errOld, "1", 0},
			{2, good(7, 3), nil, "3", 7},
		},
	} {
		f := &feed{}
		for _, s := range steps {
			now := t0.Add(time.Duration(s.second) * time.Second)
			if err := f.take(s.answer, now); !errors.Is(err, s.err) {
				t.Errorf("%s, second %d: %v, want %v", name, s.second, err, s.err)
			}
			e, _, _ := join([]*feed{f})
			if got := seen(e.Instances); got != s.want || f.index != s.index {
				t.Errorf("%s, second %d: %s at %d, want %s at %d", name, s.second, got, f.index, s.want, s.index)
			}
			if s.err == nil && !e.At().Equal(now) {
				t.Errorf("%s, second %d: the last good answer is of %v", name, s.second, e.At())
			}
		}
	}
}

func TestAnOldAnswerAsksTheLeader(t *testing.T) {
	f := &feed{}
	_ = f.take(change(good(5, 1), func(a *answer) { a.lastContact = time.Minute }), t0)
	if !f.fresh {
		t.Error("the next query may go to the same old server")
	}
	_ = f.take(good(5, 1), t0)
	if f.fresh {
		t.Error("the leader is asked for ever")
	}
}

// TestJoin: a datacenter that was emptied for good makes way for another that
// lists instances, and for nothing else.
func TestJoin(t *testing.T) {
	one, two := &feed{datacenter: "dc1"}, &feed{datacenter: "dc2"}
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	want := func(when, text string) {
		t.Helper()
		if e, _, _ := join([]*feed{one, two}); seen(e.Instances) != text {
			t.Errorf("%s: %s, want %s", when, seen(e.Instances), text)
		}
	}
	list := func(f *feed, index uint64, second int, last ...int) {
		_ = f.take(answer{index: index, knownLeader: true, instances: found(f.datacenter, last...)}, at(second))
	}
	list(one, 1, 0, 1)
	list(two, 1, 0, 2)
	want("both", "1 2")
	list(one, 2, 1)
	want("one is empty", "1! 2")
	list(two, 2, 2)
	want("both are", "1! 2!")
	list(one, 3, 20)
	want("both are, one of them twice", "1! 2!")
	list(two, 3, 20)
	want("both are, twice", "1! 2!")
	list(two, 4, 30, 3)
	want("one has another", "3")
	list(one, 4, 40, 1)
	want("both", "1 3")
	list(one, 5, 50)
	list(one, 6, 70)
	want("one is, twice", "3")
	list(one, 7, 80)
	list(two, 7, 80)
	want("now the other, once", "3!")
	list(two, 8, 100)
	want("now the other, twice", "3!")
}

// TestWhatIsNoSecondEmptyAnswer: the same state of the catalog read again, and one
// after the index went back.
func TestWhatIsNoSecondEmptyAnswer(t *testing.T) {
	one, two := &feed{datacenter: "dc1"}, &feed{datacenter: "dc2", instances: found("dc2", 2)}
	for _, s := range []struct {
		second int
		index  uint64
		last   []int
		want   string
	}{
		{0, 50, []int{1}, "1 2"},
		{1, 51, nil, "1! 2"},
		{60, 51, nil, "1! 2"}, // nothing is new
		{61, 40, nil, "1! 2"}, // a reset
		{62, 52, nil, "1! 2"}, // the first since
		{100, 53, nil, "2"},
	} {
		_ = one.take(answer{index: s.index, knownLeader: true, instances: found("dc1", s.last...)}, t0.Add(time.Duration(s.second)*time.Second))
		if e, _, _ := join([]*feed{one, two}); seen(e.Instances) != s.want {
			t.Errorf("second %d: %s, want %s", s.second, seen(e.Instances), s.want)
		}
	}
}

func TestRestore(t *testing.T) {
	e := source.Entry{
		Instances: append(found("dc1", 1), append(found("dc2", 2), found("dc9", 9)...)...),
		Read:      map[string]time.Time{"dc1": t0, "dc2": t0.Add(time.Hour), "dc9": t0},
	}
	one, two, three := &feed{datacenter: "dc1"}, &feed{datacenter: "dc2"}, &feed{datacenter: "dc3"}
	for _, f := range []*feed{one, two, three} {
		f.restore(e)
	}
	got, _, _ := join([]*feed{one, two, three})
	if seen(got.Instances) != "1 2" || !got.Read["dc1"].Equal(t0) || !got.Read["dc2"].Equal(t0.Add(time.Hour)) || !got.At().IsZero() {
		t.Errorf("%+v", got)
	}
	_ = one.take(answer{index: 1, knownLeader: true}, t0.Add(2*time.Hour))
	if got, _, _ := join([]*feed{one, two, three}); seen(got.Instances) != "1! 2" {
		t.Errorf("an empty first answer after a restart leaves %s", seen(got.Instances))
	}
}
