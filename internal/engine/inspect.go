package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/steer"
)

// Inspect calls f on the loop with what is published and with a look at the
// state of each check of its plan, so that the two agree. f must not keep the
// states that it is shown.
func (e *Engine) Inspect(f func(p *Published, check func(i int32) *health.State)) error {
	return e.Do(func(c *Core) { f(e.snap.Load(), c.State) })
}

// WhatIf returns what would be published now if o were among the overrides, and
// what is. It changes nothing.
func (e *Engine) WhatIf(o steer.Override) (now, then *Published, err error) {
	err = e.Do(func(c *Core) {
		now = e.snap.Load()
		others, freezes := e.hands.list()
		overrides := []steer.Override{o}
		for _, x := range others {
			if x.Target != o.Target {
				overrides = append(overrides, x)
			}
		}
		try := *c
		try.dirty = map[int32]bool{}
		try.SetHands(overrides, freezes)
		then = &Published{try.Publish(time.Now()), c.Plan}
	})
	return now, then, err
}
