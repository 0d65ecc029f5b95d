package health

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	t0     = time.Date(2025, 10, 20, 6, 48, 0, 0, time.UTC)
	params = Params{Interval: 5 * time.Second, Timeout: 2 * time.Second, Confirm: time.Second, Stale: 30 * time.Second, Fall: 3, Rise: 3}
)

// causeOf reads one letter of a story: + success, t timeout, r refused, s status
// 503, l a local fault.
var causeOf = map[rune]Cause{'+': CauseNone, 't': CauseTimeout, 'r': CauseRefused, 's': CauseStatus, 'l': CauseNoRoute}

// live feeds a story to a state, a result a second, and returns the verdicts.
func live(s *State, c Context, story string) string {
	var b strings.Builder
	for i, r := range story {
		s.Observe(params, c, Result{At: t0.Add(time.Duration(i) * time.Second), Cause: causeOf[r]})
		b.WriteByte("?+-"[s.Verdict])
	}
	return b.String()
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct{ story, want string }{
		"first success is Up":                     {"+", "+"},
		"Down after three failures in a row":      {"+ttt", "+++-"},
		"a success between them starts anew":      {"+tt+tt+tt", "+++++++++"},
		"Up after three successes in a row":       {"+ttt++t+++", "+++------+"},
		"unknown needs three failures too":        {"ttt", "??-"},
		"status failures survive single success":  {"+s+s+s", "+++++-"},
		"refused ones as well":                    {"+r+r+r", "+++++-"},
		"timeouts do not":                         {"+t+t+t+t", "++++++++"},
		"a whole row of successes forgives":       {"+s+s+++s+s", "++++++++++"},
		"mixed failures count as a row":           {"+tsr", "+++-"},
		"local faults never vote":                 {"+llllllll", "+++++++++"},
		"nor do they break a row":                 {"+tltlt", "+++++-"},
		"local faults alone stay unknown":         {"lllll", "?????"},
		"an alternating backend stays down":       {"+s+s+s+s+s+s", "+++++-------"[:12]},
		"two successes are not enough to be back": {"ttt++s++s", "??-------"},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			if got := live(&s, Context{}, c.story); got != c.want {
				t.Errorf("%s gives %s, want %s", c.story, got, c.want)
			}
		})
	}
}

func TestContext(t *testing.T) {
	for name, c := range map[string]struct {
		ctx         Context
		story, want string
	}{
		"braked: nothing turns down":         {Context{Braked: true}, "+tttttt", "+++++++"},
		"braked: up is never held":           {Context{Braked: true}, "t+", "?+"},
		"hasty: sick needs three times fall": {Context{Hasty: true}, "+sssssssss", "+++++++++-"},
		"hasty: dark counts as always":       {Context{Hasty: true}, "+ttt", "+++-"},
		"hasty: refused as well":             {Context{Hasty: true}, "+r+r+r", "+++++-"},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			if got := live(&s, c.ctx, c.story); got != c.want {
				t.Errorf("%s gives %s, want %s", c.story, got, c.want)
			}
		})
	}
}

func TestBrakeHoldsOnlyWhileItIsOn(t *testing.T) {
	var s State
	live(&s, Context{}, "+")
	live(&s, Context{Braked: true}, "ttttt")
	if s.Verdict != Up {
		t.Fatalf("verdict %v under the brake", s.Verdict)
	}
	if got := live(&s, Context{}, "t"); got != "-" {
		t.Errorf("the next failure after it gives %s, want Down: the row was counted all along", got)
	}
}

func TestForgiveStartsTheRowAnew(t *testing.T) {
	var s State
	live(&s, Context{Braked: true}, "+ttttt")
	s.Forgive()
	if got := live(&s, Context{}, "ttt"); got != "++-" {
		t.Errorf("after Forgive three failures give %s, want ++-", got)
	}
}

func TestStaleTurnsUnknownNeverDown(t *testing.T) {
	for story, wasDown := range map[string]bool{"+": false, "+ttt": true} {
		var s State
		live(&s, Context{}, story)
		end := s.Heard
		if s.Age(params, end.Add(params.Stale)) {
			t.Errorf("%s: aged before its time", story)
		}
		if !s.Age(params, end.Add(params.Stale+1)) || s.Verdict != Unknown || s.WasDown != wasDown {
			t.Errorf("%s: after Stale verdict %v, was down %v; want unknown, %v", story, s.Verdict, s.WasDown, wasDown)
		}
	}
}

func TestStaleDownNeedsARowToComeBack(t *testing.T) {
	var s State
	live(&s, Context{}, "ttt")
	s.Age(params, s.Heard.Add(time.Hour))
	if got := live(&s, Context{}, "+++"); got != "??+" {
		t.Errorf("three successes after a stale Down give %s, want ??+", got)
	}
}

func TestRestore(t *testing.T) {
	for name, c := range map[string]struct {
		r           Restored
		start       Verdict
		story, want string
	}{
		"young verdicts hold":            {Restored{Verdict: Down, Age: time.Minute}, Down, "++", "--"},
		"an old Down: one success is up": {Restored{Verdict: Down, Age: time.Hour}, Unknown, "+", "+"},
		"an old Down: one failure stays": {Restored{Verdict: Down, Age: time.Hour}, Unknown, "t", "-"},
		"an old Up: one success is up":   {Restored{Verdict: Up, Age: time.Hour}, Unknown, "+", "+"},
		"an old Up: failures are a row":  {Restored{Verdict: Up, Age: time.Hour}, Unknown, "ttt", "??-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Restore(c.r, t0)
			if s.Verdict != c.start {
				t.Fatalf("starts %v, want %v", s.Verdict, c.start)
			}
			if got := live(&s, Context{}, c.story); got != c.want {
				t.Errorf("%s gives %s, want %s", c.story, got, c.want)
			}
		})
	}
}

func TestConfirming(t *testing.T) {
	for story, want := range map[string]bool{
		"+": false, "+t": true, "+t+": false, "+s+": true, "+s+++": false, "+ttt": false, "+ttt+": true, "t": true, "": false,
	} {
		var s State
		live(&s, Context{}, story)
		if s.Confirming() != want {
			t.Errorf("%q: confirming %v, want %v", story, s.Confirming(), want)
		}
	}
}

func TestEjectionsAreCountedWhereTrafficIsLost(t *testing.T) {
	for story, want := range map[string]int{
		"+":              0,
		"ttt":            0, // never was Up: nothing was taken out
		"+ttt":           1,
		"+ttt+++ttt":     2,
		"+ttttttt":       1,
		"+sssl+++sss+++": 2,
	} {
		var s State
		live(&s, Context{}, story)
		if n := len(s.Ejected); n != want {
			t.Errorf("%s: %d ejections, want %d", story, n, want)
		}
	}
}

func TestEjectionsWindowAndBound(t *testing.T) {
	var e Ejections
	for i := range 100 {
		e = e.Add(t0.Add(time.Duration(i) * time.Minute))
	}
	if len(e) != MaxEjections {
		t.Errorf("%d remembered, want %d", len(e), MaxEjections)
	}
	if n := e.Within(10*time.Minute, t0.Add(99*time.Minute)); n != 10 {
		t.Errorf("%d within ten minutes, want 10", n)
	}
	old := e
	_ = e.Add(t0)
	if &old[0] != &e[0] {
		t.Error("Add changed what it was given")
	}
}

func TestWait(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 30 * time.Second, 1: 30 * time.Second, 3: 90 * time.Second, 99: 15 * time.Minute} {
		if got := Wait(30*time.Second, 15*time.Minute, n); got != want {
			t.Errorf("Wait after %d = %v, want %v", n, got, want)
		}
	}
}

// TestLossAloneIsNoFailure feeds a day of probes of which 0.8 % fail silently:
// what 20 % loss of round trips leaves of probes with three attempts.
func TestLossAloneIsNoFailure(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	downs := 0
	for range 20 {
		var s State
		for range 17_280 {
			c := CauseNone
			if r.Float64() < 0.008 {
				c = CauseTimeout
			}
			if s.Observe(params, Context{}, Result{At: t0, Cause: c}) && s.Verdict == Down {
				downs++
			}
		}
	}
	if downs > 1 {
		t.Errorf("%d false Downs in 20 endpoint-days, the model expects 0.01 each", downs)
	}
}

func TestCausesAreOfOneKind(t *testing.T) {
	for c := CauseNone; c < numCauses; c++ {
		kinds := 0
		for _, is := range []bool{c.OK(), c.Dark(), c.Sick(), c.Local()} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%v is of %d kinds", c, kinds)
		}
		var back Cause
		if text, _ := c.MarshalText(); back.UnmarshalText(text) != nil || back != c {
			t.Errorf("%v does not survive its own text: %v", c, back)
		}
		if c.Answered() && c == CauseTimeout {
			t.Error("silence is no answer")
		}
	}
}

func TestWorstAndBest(t *testing.T) {
	up, unknown := View{Verdict: Up, Since: t0}, View{}
	doubt := View{Verdict: Unknown, WasDown: true}
	outvoted, here := View{Verdict: Down, Elsewhere: true, Outvoted: true}, View{Verdict: Down, Elsewhere: true}
	if rank(outvoted) != rank(doubt) {
		t.Errorf("down against most others has rank %d", rank(outvoted))
	}
	sick := View{Verdict: Down, Cause: CauseStatus}
	dark := View{Verdict: Down, Cause: CauseTimeout}
	order := []View{up, unknown, doubt, here, sick, dark}
	for i, a := range order {
		for j, b := range order {
			if w := Worst(a, b); rank(w) != max(i, j) {
				t.Errorf("Worst(%d, %d) has rank %d", i, j, rank(w))
			}
			if w := Best(a, b); rank(w) != min(i, j) {
				t.Errorf("Best(%d, %d) has rank %d", i, j, rank(w))
			}
		}
	}
	later := View{Verdict: Up, Since: t0.Add(time.Minute)}
	if w := Worst(up, later); !w.Since.Equal(later.Since) {
		t.Error("an address is Up only since its last check came Up")
	}
}
