package engine

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Inspect calls f on the loop with what is published and with a look at the
// state of each check of its plan, so that the two agree: what is held here, or
// what is agreed where only others probe it. f must not keep the states that it is
// shown.
func (e *Engine) Inspect(f func(p *Published, check func(i int32) *health.State)) error {
	now := time.Now()
	return e.Do(func(c *Core) { f(e.snap.Load(), func(i int32) *health.State { return c.holds(int(i), now) }) })
}
