package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Turn is a change of a check's verdict.
type Turn struct {
	Check    int32
	From, To health.Verdict
	Cause    health.Cause // of Down
	Detail   string
	After    time.Duration // how long From lasted, 0 if it was there from the start
	First    bool          // Up, and it never was anything else
}

// turn notes that check i is not what it was before.
func (c *Core) turn(i int32, before *health.State, now time.Time) {
	st := &c.states[i]
	t := Turn{Check: i, From: before.Verdict, To: st.Verdict}
	if st.Verdict == health.Down {
		t.Cause, t.Detail = st.Cause, st.Last.Detail
	}
	if !before.Since.IsZero() {
		t.After = now.Sub(before.Since)
	}
	t.First = st.Verdict == health.Up && before.Verdict == health.Unknown && !before.WasUp && !before.WasDown
	c.turned = append(c.turned, t)
	c.changed, c.opines = true, true
}

// Turned returns the changes of verdicts since it was last called.
func (c *Core) Turned() []Turn {
	out := c.turned
	c.turned = nil
	return out
}

// holdBack counts the checks that would be Down, but for the brake: each once
// while it is on.
func (c *Core) holdBack(i int32, before health.State, r health.Result) {
	k := &c.Plan.Checks[i]
	ctx := health.Context{Hasty: r.Cause.Sick() && c.hasty(i, r.At)}
	if c.held[i] || !before.Observe(k.Params, ctx, r) || before.Verdict != health.Down {
		return
	}
	if c.held == nil {
		c.held = map[int32]bool{}
	}
	c.held[i], c.Brake.Held = true, true
	c.heldNew++
}

// HeldBack returns how many checks more are held back by the brake than when it
// was last called.
func (c *Core) HeldBack() int {
	n := c.heldNew
	c.heldNew = 0
	return n
}
