package failover

import (
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// TestAnswersAreCountedForTheEngine: it learns from which pools a service was
// answered, without that any query tells it, from the first answer of a plan on and
// over a reload.
func TestAnswersAreCountedForTheEngine(t *testing.T) {
	f := handler(t, twoRegions, nil)
	answers := f.shared.answers()
	read := func(name string) []uint64 {
		p := f.shared.load().Plan
		i, ok := p.Steer.Find(name)
		if !ok {
			t.Fatal(name)
		}
		return slices.Clone(answers(p, i))
	}
	if got := read("shop.example.org."); !slices.Equal(got, []uint64{0, 0, 0}) {
		t.Errorf("nobody asked: %v", got)
	}
	for range 3 {
		ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeA))
	}
	if got := read("shop.example.org."); !slices.Equal(got, []uint64{3, 0, 0}) {
		t.Errorf("asked three times: %v", got)
	}
	old := f.shared.load().Plan
	reload(t, f, func(yaml string) string { return yaml + "limits: {reload_moves: 50%}\n" })
	if got := read("shop.example.org."); !slices.Equal(got, []uint64{3, 0, 0}) {
		t.Errorf("after a reload: %v", got)
	}
	if got := answers(old, 0); got != nil {
		t.Errorf("of a plan that is no more: %v", got)
	}
}
