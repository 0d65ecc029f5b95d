package guard

import (
	"strconv"
	"strings"
	"time"

	"github.com/coredns/caddy"

	"github.com/detour-dns/detour/internal/guard"
)

func readPattern(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) != 2 {
		return c.Errf("pattern takes a pattern and how many names it may guard: pattern *.bank.example 200")
	}
	most, err := strconv.Atoi(args[1])
	if err != nil {
		return c.Errf("pattern %s: %q is not a number of names", args[0], args[1])
	}
	p, err := guard.NewPattern(args[0], most)
	if err != nil {
		return c.Errf("%v", err)
	}
	g.names.patterns = append(g.names.patterns, &slot{Pattern: p})
	return nil
}

func readOn(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) == 0 {
		return c.Errf("on takes failures: on nxdomain nodata servfail timeout")
	}
	g.opts.rules.On = 0
	for _, a := range args {
		f, err := guard.ParseFailure(a)
		if err != nil {
			return c.Errf("on: %v", err)
		}
		g.opts.rules.On = g.opts.rules.On.With(f)
	}
	return nil
}

var demands = map[string]guard.Demand{"auto": guard.Auto, "tls": guard.TLS, "age": guard.Age}

func readProof(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) != 1 {
		return c.Errf("proof takes one word: auto, tls, tcp:PORT or age")
	}
	if port, ok := strings.CutPrefix(args[0], "tcp:"); ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return c.Errf("proof %s: %q is not a port", args[0], port)
		}
		g.opts.rules.Demand, g.opts.port = guard.TCP, uint16(n)
		return nil
	}
	d, ok := demands[args[0]]
	if !ok {
		return c.Errf("unknown proof %q: use auto, tls, tcp:PORT or age", args[0])
	}
	g.opts.rules.Demand = d
	return nil
}

// readKeep reads `keep [proven DURATION] [unproven DURATION]`.
func readKeep(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return c.Errf("keep takes times: keep proven 24h unproven 15m")
	}
	for ; len(args) > 0; args = args[2:] {
		d, err := time.ParseDuration(args[1])
		if err != nil || d <= 0 || d > keepMost {
			return c.Errf("keep %s %s: want a time above 0 and up to 168h (RFC 8767 section 5)", args[0], args[1])
		}
		switch args[0] {
		case "proven":
			g.opts.rules.KeepProven = d
		case "unproven":
			g.opts.rules.KeepUnproven = d
		default:
			return c.Errf("keep %q: use proven or unproven", args[0])
		}
	}
	return nil
}

func readTTL(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) != 1 {
		return c.Errf("ttl takes one time: ttl 15s")
	}
	d, err := time.ParseDuration(args[0])
	if err != nil || d < time.Second || d > ttlMost {
		return c.Errf("ttl %s: want 1s to 1m: what stands in must not outlive the failure by much", args[0])
	}
	g.opts.rules.TTL = d
	return nil
}
