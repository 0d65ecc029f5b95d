package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// A directive without its plugin is refused at start; a plugin without its
// directive can never be used.
func TestDirectivesAreThePlugins(t *testing.T) {
	var compiled []string
	for _, name := range caddy.ListPlugins()["others"] {
		if name, ok := strings.CutPrefix(name, "dns."); ok {
			compiled = append(compiled, name)
		}
	}
	for _, name := range compiled {
		if !slices.Contains(directives, name) {
			t.Errorf("plugin %s is compiled in and not in the list", name)
		}
	}
	for _, name := range directives {
		if !slices.Contains(compiled, name) {
			t.Errorf("directive %s has no plugin", name)
		}
	}
	if !slices.Equal(dnsserver.Directives, directives) {
		t.Error("the list is not the one that CoreDNS uses")
	}
}

// moved are the directives that do not stand where stock has them.
var moved = []string{"dnssec", "failover", "guard"}

// outOfOrder returns the directives of list that stand before one that stock
// has before them.
func outOfOrder(list []string) []string {
	var out []string
	last := -1
	for _, name := range list {
		if slices.Contains(moved, name) {
			continue
		}
		at := slices.Index(stockDirectives, name)
		if at < last {
			out = append(out, name)
		}
		last = max(last, at)
	}
	return out
}

func TestOrderIsStock(t *testing.T) {
	if bad := outOfOrder(directives); bad != nil {
		t.Errorf("not where stock has them: %v", bad)
	}
	for _, name := range directives {
		if name != "failover" && name != "guard" && !slices.Contains(stockDirectives, name) {
			t.Errorf("%s is not in stock CoreDNS", name)
		}
	}
	above := func(a, b string) bool { return slices.Index(directives, a)+1 == slices.Index(directives, b) }
	if !above("dnssec", "failover") || !above("failover", "cache") || !above("cache", "guard") {
		t.Error("want dnssec, failover, cache, guard in a row")
	}
	bad := slices.Clone(directives)
	i, j := slices.Index(bad, "cache"), slices.Index(bad, "rewrite")
	bad[i], bad[j] = bad[j], bad[i]
	if outOfOrder(bad) == nil {
		t.Error("the test does not see cache above rewrite")
	}
}
