package server

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
)

// absolute is a path as the failover plugin takes it: from the block's root.
func absolute(root, path string) string {
	if !filepath.IsAbs(path) && root != "" {
		path = filepath.Join(root, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// keyLines returns the line of each key of a server block in the file itself.
func keyLines(in caddy.Input) map[string]int {
	lines := map[string]int{}
	d := caddyfile.NewDispenser(in.Path(), bytes.NewReader(in.Body()))
	for depth := 0; d.Next(); {
		switch d.Val() {
		case "{":
			depth++
		case "}":
			depth--
		default:
			key := strings.TrimSuffix(d.Val(), ",")
			if _, seen := lines[key]; depth == 0 && !seen {
				lines[key] = d.Line()
			}
		}
	}
	return lines
}

// outside are the plugins whose setup talks to others: what they report may be
// true only here, where a Corefile is checked, and not where it is used.
var outside = map[string][]string{
	"kubernetes": {"in-cluster configuration"},
	"route53":    {"failed to initialize", "failed to create"},
	"clouddns":   {"failed to initialize", "failed to create", "credentials"},
	"azure":      {"authoriz", "token", "credential", "MSI", "environment"},
}

func needsOthers(dir string, err error) bool {
	return slices.ContainsFunc(outside[dir], func(part string) bool { return strings.Contains(err.Error(), part) })
}

// between says what is wrong between two blocks.
func between(err error) string {
	text := trimPlugin(oneLine(err.Error()))
	switch {
	case strings.Contains(text, "already defined"):
		return text + ": two blocks serve the same zone on the same address; join them, give one another port or `bind`, or add `view` to one"
	case strings.Contains(text, "zone overlap"):
		return text + ": one of the two blocks listens on every address; add `bind` to it"
	}
	return text
}

// checkReady reads `ready` as the plugin does. The plugin's own setup empties
// the list of plugins that /ready asks, which is the running instance's.
func checkReady(c *caddy.Controller) error {
	for n := 0; c.Next(); n++ {
		args := c.RemainingArgs()
		switch {
		case n > 0:
			return errors.New("this plugin can only be used once per Server Block")
		case len(args) > 1:
			return c.ArgErr()
		case len(args) == 1:
			if _, _, err := net.SplitHostPort(args[0]); err != nil {
				return err
			}
		}
		if err := checkReadyBlock(c); err != nil {
			return err
		}
	}
	return nil
}

func checkReadyBlock(c *caddy.Controller) error {
	for c.NextBlock() {
		if c.Val() != "monitor" {
			return c.Errf("unknown property '%s'", c.Val())
		}
		args := c.RemainingArgs()
		if len(args) != 1 {
			return c.ArgErr()
		}
		if !slices.Contains([]string{"until-ready", "continuously"}, args[0]) {
			return c.Errf("monitor type '%s' not supported: use until-ready or continuously", args[0])
		}
	}
	return nil
}
