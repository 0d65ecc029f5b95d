package failover

import (
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/journal"
)

// hearGuards puts into an engine's history what befalls names of others.
func hearGuards(e *engine.Engine) {
	guard.Front.Listen(func(ev guard.Event) {
		var names []string
		for _, n := range ev.Names[:min(len(ev.Names), journal.MaxNames)] {
			names = append(names, strings.TrimSuffix(n, "."))
		}
		e.Journal().Add(journal.Event{At: time.Now(), Kind: journal.Guard, Text: ev.Text, Services: names, Count: len(ev.Names)})
	})
}
