package guard

import (
	"runtime/debug"

	"github.com/detour-dns/detour/internal/guard"
)

// A fault of ours on a goroutine of ours would end the process, and what is kept
// would bring it about again after the next start. So each is contained.

// contain ends a fault with one name: what is kept of it is forgotten, on disk as
// well, and the other names go on. It is deferred before the entry is locked, so
// that it runs after it was unlocked.
func (g *Guard) contain(e *entry) {
	p := recover()
	if p == nil {
		return
	}
	log.Errorf("%s: a fault of this program: %v; what was kept of the name is forgotten\n%s", e.name, p, debug.Stack())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known, e.tale, e.refusal, e.asking, e.far = guard.Name{}, tale{}, guard.Healthy, false, nil
	e.soil(dirty)
	g.table.stand(e, false)
	g.table.unwatch(e)
	g.table.tried(e)
}

// survive ends a fault of what is done for no name in particular.
func survive(what string) {
	if p := recover(); p != nil {
		log.Errorf("%s: a fault of this program: %v\n%s", what, p, debug.Stack())
	}
}
