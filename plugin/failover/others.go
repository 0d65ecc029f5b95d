package failover

import (
	"log/slog"
	"strings"
	"time"

	"github.com/coredns/caddy"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/exchange"
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

// tellGuards tells guards of this instance where the process keeps its state. They
// ask when they start, which is after all setups.
func tellGuards(c *caddy.Controller, state string) {
	c.Set(guard.StateDir{Block: c.ServerBlockIndex + 1}, state)
	if c.Get(guard.StateDir{}) == nil {
		c.Set(guard.StateDir{}, state)
	}
}

// firstStock is how long a start waits for what the guards of other resolvers keep:
// whoever asks a moment before that would be told what a broken DNS says.
const firstStock = 2 * time.Second

// openFair lets the guards of several resolvers exchange what they keep, where these
// agree at all. What it returns ends that.
func openFair(e *engine.Engine) (end func()) {
	at := e.Keeper()
	if at == nil {
		return func() {}
	}
	x := exchange.New(exchange.Options{At: at, Self: e.Self(), Zone: e.Mates, Log: slog.New(newLogHandler())})
	x.Wait(firstStock)
	guard.Fair.Open(x)
	return func() {
		guard.Fair.Open(nil)
		x.Close()
	}
}
