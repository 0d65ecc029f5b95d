package failover

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
)

// chains are the blocks that get links of ours between other plugins: an end, and a
// gate if one of the asking plugins stands in them. What plugins a block has is known
// by directive: those of all blocks are set up, then the next. One Corefile is read at
// a time; a setup that never gets to the end, as that of a check, leaves entries that
// the next one drops.
var chains struct {
	mu     sync.Mutex    // guards what follows
	hooked []string      // lists of directives for which we are called
	of     caddy.Context // of the Corefile that is read
	blocks []*chain
}

type chain struct {
	block *dnsserver.Config
	f     *Failover
	above int // plugins of the block that know an answer themselves
}

// asking are the plugins that ask other servers for each question.
var asking = []string{"etcd", "forward", "grpc"}

// link notes that a block is to get links of ours.
func link(c *caddy.Controller, block *dnsserver.Config, f *Failover) {
	chains.mu.Lock()
	defer chains.mu.Unlock()
	if order := strings.Join(dnsserver.Directives, " "); !slices.Contains(chains.hooked, order) {
		chains.hooked = append(chains.hooked, order)
		if before, last := around(dnsserver.Directives, asking); last != "" {
			caddy.RegisterParsingCallback("dns", before, forChains(order, func(c *chain) { c.above = len(c.block.Plugin) }))
			caddy.RegisterParsingCallback("dns", last, forChains(order, (*chain).addGate))
		}
		caddy.RegisterParsingCallback("dns", dnsserver.Directives[len(dnsserver.Directives)-1], forChains(order, (*chain).addEnd))
	}
	if chains.of != c.Context() {
		chains.of, chains.blocks = c.Context(), nil
	}
	chains.blocks = append(chains.blocks, &chain{block: block, f: f})
}

// around returns the directive before the first of some, and the last of these. Both
// are "" if there is none, or none before it.
func around(all, some []string) (before, last string) {
	for i, d := range all {
		if i > 0 && slices.Contains(some, d) {
			last = d
			before = cmp.Or(before, all[i-1])
		}
	}
	return before, last
}

// forChains does something with each block, if the directives are still those.
func forChains(order string, do func(*chain)) func(caddy.Context) error {
	return func(of caddy.Context) error {
		chains.mu.Lock()
		defer chains.mu.Unlock()
		if chains.of == of && order == strings.Join(dnsserver.Directives, " ") {
			for _, c := range chains.blocks {
				do(c)
			}
		}
		return nil
	}
}

// addGate puts the gate above the first plugin that asks.
func (c *chain) addGate() {
	if len(c.block.Plugin) > c.above {
		c.block.Plugin = slices.Insert(c.block.Plugin, c.above, func(next plugin.Handler) plugin.Handler { return &gate{next, c.f.shared.door} })
	}
}

// addEnd puts the end below all others.
func (c *chain) addEnd() {
	c.block.AddPlugin(func(plugin.Handler) plugin.Handler { return last{c.f} })
}
