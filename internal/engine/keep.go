package engine

import (
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// Kept is what survives a restart, by check key and by service name.
type Kept struct {
	Checks   map[string]health.Restored
	Services map[string]steer.Memory
}

// Keep returns what should survive a restart now.
func (c *Core) Keep(now time.Time) Kept {
	k := Kept{Checks: map[string]health.Restored{}, Services: map[string]steer.Memory{}}
	for i := range c.states {
		s := c.holds(i, now)
		v := s.Verdict
		if v == health.Unknown && s.WasDown {
			v = health.Down
		}
		if v == health.Unknown {
			continue
		}
		k.Checks[c.Plan.Checks[i].Key] = health.Restored{
			Verdict: v, Age: now.Sub(s.Heard), Lasted: now.Sub(s.Since), WasUp: s.WasUp, Cause: s.Cause, Ejected: s.Ejected,
		}
	}
	if c.snap != nil {
		for i := range c.snap.Plan.Services {
			k.Services[c.snap.Plan.Services[i].Name] = c.snap.State(int32(i)).Memory
		}
	}
	return k
}

// holds returns what is held of check i here: where only others probe it, what is
// agreed.
func (c *Core) holds(i int, now time.Time) *health.State {
	if c.probed(int32(i)) {
		return &c.states[i]
	}
	return agreedState(&c.views[i], now)
}

// agreedState is a state with what is agreed of a check that only others probe.
func agreedState(v *health.View, now time.Time) *health.State {
	return &health.State{
		Verdict: v.Verdict, Since: v.Since, Heard: now, Cause: v.Cause, WasUp: v.WasUp, WasDown: v.WasDown, Ejected: v.Ejected,
	}
}

// memoryAge is how long the pool in use outlives a stop. After that the policy
// decides: others have answered by it since. A manual failback is a latch and
// does not age, for no time makes an operator ask.
const memoryAge = 15 * time.Minute

// Aged makes k as old as it is: off has passed since it was kept.
func Aged(k Kept, off time.Duration, cfg *config.Config) Kept {
	out := Kept{Checks: make(map[string]health.Restored, len(k.Checks)), Services: map[string]steer.Memory{}}
	for key, r := range k.Checks {
		r.Age += off
		r.Lasted += off
		out.Checks[key] = r
	}
	for name, m := range k.Services {
		s, ok := cfg.Service(name)
		if ok && (off <= memoryAge || s.Failback.Manual) {
			out.Services[name] = m
		}
	}
	return out
}

// AskFailback lets healthy pools of a target (a region or a service; "" is all)
// that wait to take their traffic back begin now; atOnce, without a ramp. It
// returns how many there were.
func (c *Core) AskFailback(target string, atOnce bool, now time.Time) (asked int) {
	if c.snap == nil {
		return 0
	}
	kept := map[string]steer.Memory{}
	for i := range c.snap.Plan.Services {
		s := &c.snap.Plan.Services[i]
		st := c.snap.State(int32(i))
		m := st.Memory.Clone()
		for p := range s.Pools {
			region := c.snap.Plan.Regions[s.Pools[p].Region].Name
			returning := m.Pools[p].Out && !m.Pools[p].Returned.IsZero()
			if returning && (target == "" || target == s.Name || target == region) {
				m.Pools[p].Ask(now, st.Pools[p].Ends, atOnce)
				asked++
			}
		}
		kept[s.Name] = m
	}
	c.snap = c.snap.WithMemories(kept)
	c.all = true
	return asked
}
