package failover

import (
	"maps"
	"slices"
	"strings"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/auto"
	"github.com/coredns/coredns/plugin/file"
	"github.com/coredns/coredns/plugin/hosts"
	"github.com/coredns/coredns/plugin/secondary"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/engine"
)

// A wildcard answers for names that do not exist (RFC 4592 section 2.2.1). Names that
// stand in the data of plugins below us do: their own records win over a wildcard
// service. What `forward` would say of a name is not asked.

// knows reports whether data below us have a name or, if so it can be, one below it.
type knows func(name string) bool

// knownIn returns what knows names in a block.
func knownIn(block *dnsserver.Config) (out []knows) {
	if f, ok := block.Handler("file").(file.File); ok {
		out = append(out, func(name string) bool { return inZones(f.Names, func(z string) *file.Zone { return f.Z[z] }, name) })
	}
	if a, ok := block.Handler("auto").(auto.Auto); ok {
		out = append(out, func(name string) bool { return inZones(a.Names(), a.Zones.Zones, name) })
	}
	if s, ok := block.Handler("secondary").(*secondary.Secondary); ok {
		names, zones := slices.Clone(s.Names), maps.Clone(s.Z) // a catalog changes them once all has started
		out = append(out, func(name string) bool { return inZones(names, func(z string) *file.Zone { return zones[z] }, name) })
	}
	if h, ok := block.Handler("hosts").(hosts.Hosts); ok {
		out = append(out, func(name string) bool { return inHosts(h.Hostsfile, name) })
	}
	return out
}

// inZones reports whether a name exists in the zone that it lies in, as an empty
// non-terminal too (RFC 4592 section 2.2.2).
func inZones(names []string, zone func(string) *file.Zone, name string) bool {
	z := zone(plugin.Zones(names).Matches(name))
	if z == nil {
		return false
	}
	z.RLock()
	tree := z.Tree
	z.RUnlock()
	if tree == nil {
		return false
	}
	at, ok := tree.Next(name) // itself, or what comes after it in canonical order (RFC 4034 section 6.1)
	return ok && !at.Empty() && dns.IsSubDomain(name, at.Name())
}

// inHosts reports whether a table of hosts has a name itself, not by a wildcard.
func inHosts(h *hosts.Hostsfile, name string) bool {
	has := func(name string) bool {
		return len(h.LookupStaticHostV4(name)) > 0 || len(h.LookupStaticHostV6(name)) > 0
	}
	_, rest, _ := strings.Cut(name, ".")
	return has(name) && !has(`\000.`+rest)
}

// hides reports whether data below us have a name that service i, a wildcard, would
// answer for: the name itself, or its ancestor that stands directly under the wildcard,
// for then the closest encloser of the name is not the wildcard's (RFC 4592 section
// 3.3.1).
func (f *Failover) hides(pub *engine.Published, i int32, name string) bool {
	if len(f.known) == 0 {
		return false
	}
	name = strings.ToLower(name)
	child := name
	for off, base := 0, len(pub.Plan.Config.Services[i].Name)-len("*."); len(name)-off > base; {
		child = name[off:]
		var last bool
		if off, last = dns.NextLabel(name, off); last {
			break
		}
	}
	return slices.ContainsFunc(f.known, func(k knows) bool { return k(child) || child != name && k(name) })
}
