package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Summary is the engine's own state in numbers.
type Summary struct {
	Verdicts    map[string]int // checks by verdict
	Brake       health.Brake
	BrakeUntil  time.Time
	SelfPassing int // self-checks, by their latest probe
	SelfFailing int
	Reload      Reload
	StateLost   string // why nothing is kept across a restart, "" if all is well
	StateErrors int
	StateForgot string   // what of the past this start could not read, "" if nothing
	Crashed     string   // how the process before ended, if that was a fault of this program
	Blind       string   // what this machine keeps us from seeing, "" if nothing
	EventsLost  string   // why the history is in memory only, "" if all is well
	HandFaults  []string // what is wrong with files of overrides
	HandStrays  []string // files beside them that are not read, by their names
	Lacks       []string // files that cannot be read now, and why: no fault of theirs
	Rejoins     bool     // share: or self.name was edited, which counts from the next start
}

// verdict is what is held of check i here, or what is agreed where others probe it.
func (c *Core) verdict(i int32) health.Verdict {
	if c.probed(i) {
		return c.states[i].Verdict
	}
	return c.views[i].Verdict
}

// Summary returns the engine's own state. After Close it is empty.
func (e *Engine) Summary() Summary {
	out := Summary{Verdicts: map[string]int{"up": 0, "down": 0, "unknown": 0}}
	_ = e.Do(func(c *Core) {
		for i := range c.states {
			out.Verdicts[c.verdict(int32(i)).String()]++
		}
		out.Brake = c.Brake
		out.BrakeUntil = c.Brake.Until(c.Plan.Config.Limits.Brake)
		now := c.census.take(c.states, c.Plan.Self)
		out.SelfPassing, out.SelfFailing = now.SelfPassing, now.SelfFailing
		out.Reload = e.reload
		out.StateLost, out.StateErrors, out.StateForgot = e.disk.lost, e.disk.errors, e.forgot(time.Now())
		out.Crashed = e.crashed(time.Now())
		out.Blind = e.unseen.String()
		out.HandFaults, out.Rejoins = e.hands.files.faults(), e.rejoins(c.Plan.Config)
		out.HandStrays, out.Lacks = e.hands.files.strays(), e.lackings()
		if err := e.journal.Problem(); err != nil {
			out.EventsLost = err.Error()
		} else {
			out.EventsLost = e.disk.noHistory
		}
	})
	return out
}
