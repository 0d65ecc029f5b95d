package engine

import (
	"github.com/detour-dns/detour/internal/health"
)

// Inspect calls f on the loop with what is published and with a look at the
// state of each check of its plan, so that the two agree. f must not keep the
// states that it is shown.
func (e *Engine) Inspect(f func(p *Published, check func(i int32) *health.State)) error {
	return e.Do(func(c *Core) { f(e.snap.Load(), c.State) })
}
