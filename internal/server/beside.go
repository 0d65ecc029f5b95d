package server

import (
	"net"
	"slices"

	"github.com/coredns/caddy/caddyfile"
)

// beside are the plugins that listen on an address of their own, and where if their
// line in the Corefile names none (each plugin's setup.go in CoreDNS).
var beside = map[string]string{
	"health": ":8080", "ready": ":8181", "prometheus": "localhost:9153", "pprof": "localhost:6053",
}

// besides returns the addresses that plugins of some blocks listen on, as
// plugin://host:port. CoreDNS tries them after the start, or never says that it
// cannot: who watches `ready` or `prometheus` would watch another process.
func besides(blocks []caddyfile.ServerBlock) (out []string) {
	for _, b := range blocks {
		for dir := range beside {
			if tokens, ok := b.Tokens[dir]; ok {
				out = append(out, listens(dir, tokens)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listens returns the addresses of one directive of a block.
func listens(dir string, tokens []caddyfile.Token) (out []string) {
	for _, use := range uses(dir, tokens) {
		addr := beside[dir]
		if args := arguments(use); len(args) > 0 {
			addr = args[0]
		}
		if _, _, err := net.SplitHostPort(addr); err == nil {
			out = append(out, dir+"://"+addr)
		}
	}
	return out
}
