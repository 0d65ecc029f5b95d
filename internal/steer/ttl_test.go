package steer

import (
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// confirming is so many checks that are Up, with these dead, of which one may soon change.
func confirming(n, which int, gone ...int) []health.View {
	v := dead(n, gone...)
	v[which].Confirming = true
	return v
}

// TestShortTTLs holds when an answer may be kept for a short time only: while the answer
// hangs on what may soon be another.
func TestShortTTLs(t *testing.T) {
	held := up(3)
	held[1] = heldBack(t0.Add(time.Minute))
	doubtful := up(3)
	doubtful[0].Verdict, doubtful[0].WasDown = health.Unknown, true
	for name, c := range map[string]struct {
		policy Policy
		views  []health.View
		edit   func(*Input)
		short  bool
	}{
		"at rest":                       {Failover, up(3), by(), false},
		"in use":                        {Failover, confirming(3, 0), by(), true},
		"next in line":                  {Failover, confirming(3, 1), by(), true},
		"behind that":                   {Failover, confirming(3, 2), by(), false},
		"behind one that is dead":       {Failover, confirming(3, 2, 1), by(), true},
		"dead, and not in line":         {Failover, confirming(3, 1, 1), by(), false},
		"any of many":                   {Weighted, confirming(3, 2), by(), true},
		"any of all":                    {All, confirming(3, 2), by(), true},
		"next in line, in hold-down":    {Failover, held, by(), false}, // the third is next, then
		"in use before, without news":   {Weighted, doubtful, by(), true},
		"drained, one that may change":  {Weighted, confirming(3, 2), by(Override{Target: "azure/c", Kind: Drain}), false},
		"drained, another that may":     {Weighted, confirming(3, 1), by(Override{Target: "azure/c", Kind: Drain}), true},
		"everything is dead":            {Failover, dead(3, 0, 1, 2), by(), true},
		"moved, and nothing may change": {Failover, dead(3, 0), by(), false},
		"moved, and the new one may":    {Failover, confirming(3, 1, 0), by(), true},
		"moved, and the one behind may": {Failover, confirming(3, 2, 0), by(), true},
		"moved, and the dead one may":   {Failover, confirming(3, 0, 0), by(), false},
	} {
		p := small("aws/a", "gcp/b", "azure/c")
		p.Services[0].Policy = c.policy
		y := begin(p)
		y.then(time.Minute, c.views, c.edit)
		if ttl := y.s.Decide(Query{Client: client(1)}).TTL; (ttl <= 5) != c.short {
			t.Errorf("%s: TTL %d, short %v", name, ttl, c.short)
		}
	}
	y := begin(small("aws/a", "gcp/b", "azure/c"))
	y.then(time.Minute, dead(3, 2))
	if y.then(2*time.Minute, up(3)); y.s.Decide(Query{}).TTL > 5 {
		t.Error("a pool is on its way back")
	}
}

// TestInLine holds which pools a service's answers hang on.
func TestInLine(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		views  []health.View
		want   uint64
	}{
		"at rest":                {Failover, up(3), 0b011},
		"the next one is dead":   {Failover, dead(3, 1), 0b101},
		"moved":                  {Failover, dead(3, 0), 0b110},
		"the last one is left":   {Failover, dead(3, 0, 1), 0b101},
		"all are dead":           {Failover, dead(3, 0, 1, 2), 0b111},
		"by weight":              {Weighted, up(3), 0b111},
		"by weight, one is dead": {Weighted, dead(3, 1), 0b111},
	} {
		p := small("aws/a", "gcp/b", "azure/c")
		p.Services[0].Policy = c.policy
		y := begin(p)
		if y.then(time.Minute, c.views); y.s.InLine(0) != c.want {
			t.Errorf("%s: %b, want %b", name, y.s.InLine(0), c.want)
		}
	}
	y := begin(small("aws/a", "gcp/b", "azure/c"))
	y.then(time.Minute, dead(3, 2))
	if y.then(2*time.Minute, up(3)); y.s.InLine(0) != 0b111 {
		t.Errorf("the last one is on its way back: %b", y.s.InLine(0))
	}
	if got := begin(small("aws/a")).s.InLine(0); got != 0b1 {
		t.Errorf("there is one pool: %b", got)
	}
}

// TestWhenToBuildAgain holds that it is when the first service's time has come, and never
// if no service waits for anything.
func TestWhenToBuildAgain(t *testing.T) {
	p := regional(3, 0)
	y := begin(p)
	if got := y.s.Next(); !got.IsZero() {
		t.Errorf("at rest: %v", got)
	}
	at := t0.Add(time.Minute)
	views := up(6)
	views[1], views[2] = heldBack(at.Add(-time.Second)), heldBack(at.Add(-2*time.Second))
	y.then(time.Minute, views)
	if got := y.s.Next(); !got.Equal(at.Add(28 * time.Second)) {
		t.Errorf("two wait: %v", got)
	}
	y.s = Build(Input{Plan: p, Now: at.Add(28 * time.Second), Checks: views, Prev: y.s})
	if got := y.s.Next(); !got.Equal(at.Add(29*time.Second)) || len(y.s.Built) != 1 || y.s.Built[0] != 2 {
		t.Errorf("one waits: %v, built %v", got, y.s.Built)
	}
}

// TestNoDecisionIsNoAnswer holds that the zero Decision has nothing to carry.
func TestNoDecisionIsNoAnswer(t *testing.T) {
	var none Decision
	d := begin(small("aws/a")).s.Decide(Query{})
	if none.Len(8) != 0 || d.Len(8) != 1 || d.Len(0) != 0 {
		t.Errorf("%d, %d, %d", none.Len(8), d.Len(8), d.Len(0))
	}
}

// TestBackupsOfARegion holds that a region is one backup, by whichever of its pools.
func TestBackupsOfARegion(t *testing.T) {
	for _, c := range []struct {
		dead []int
		want int
	}{{nil, 1}, {[]int{1}, 1}, {[]int{2}, 1}, {[]int{1, 2}, 0}} {
		p := small("aws/a", "gcp/b", "gcp/b")
		p.Services[0].Pools[2].Region = 1
		y := begin(p)
		if got := y.then(time.Minute, dead(3, c.dead...)).Backups; got != c.want {
			t.Errorf("%v of two pools in one region dead: %d backups, want %d", c.dead, got, c.want)
		}
	}
}
