package server

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
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

// keyLines returns the lines of each key of a server block in the file itself.
func keyLines(in caddy.Input) map[string][]int {
	lines := map[string][]int{}
	d := caddyfile.NewDispenser(in.Path(), bytes.NewReader(in.Body()))
	for depth := 0; d.Next(); {
		switch d.Val() {
		case "{":
			depth++
		case "}":
			depth--
		default:
			if key := strings.TrimSuffix(d.Val(), ","); depth == 0 {
				lines[key] = append(lines[key], d.Line())
			}
		}
	}
	return lines
}

// strayBrace returns the line of the first } that closes nothing, 0 if there is
// none in the file itself.
func strayBrace(path string, body []byte) int {
	d := caddyfile.NewDispenser(path, bytes.NewReader(body))
	for depth := 0; d.Next(); {
		switch d.Val() {
		case "{":
			depth++
		case "}":
			if depth--; depth < 0 {
				return d.Line()
			}
		}
	}
	return 0
}

// checkKeys reports what is wrong with the zones and ports of a block, and
// returns its first key as Caddy writes it.
func checkKeys(t *throwaway, b caddyfile.ServerBlock) (first string, err error) {
	blocks, err := t.inspect([]caddyfile.ServerBlock{b})
	if err != nil {
		return "", err
	}
	for _, key := range blocks[0].Keys {
		port := key[strings.LastIndex(key, ":")+1:]
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", fmt.Errorf("%q is no port: use 1 to 65535", port)
		}
	}
	return blocks[0].Keys[0], nil
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

// unencrypted warns of what CoreDNS would do without a word.
func (c *checker) unencrypted(blocks []caddyfile.ServerBlock) {
	for _, b := range blocks {
		for _, key := range b.Keys {
			if _, has := b.Tokens["tls"]; !has && strings.HasPrefix(key, "tls://") {
				c.Warnings = append(c.Warnings, Fault{File: c.path, Line: c.last[b.Keys[0]], Message: key + " has no certificate and will speak plain TCP: add `tls cert.pem key.pem`"})
			}
		}
	}
}

// between says what is wrong between two blocks, at the later one.
func (c *checker) between(err error) Fault {
	f := Fault{File: c.path, Message: trimPlugin(oneLine(err.Error()))}
	if word := strings.Fields(f.Message); len(word) > 2 && word[0] == "cannot" {
		f.Line = c.last[word[2]]
	}
	switch {
	case strings.Contains(f.Message, "requires TLS"):
		f.Message += ": add `tls cert.pem key.pem` to its block"
	case strings.Contains(f.Message, "already defined"):
		f.Message += ": two blocks serve the same zone on the same address; join them, give one another port or `bind`, or add `view` to one"
	case strings.Contains(f.Message, "zone overlap"):
		f.Message += ": one of the two blocks listens on every address; add `bind` to it"
	}
	return f
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
