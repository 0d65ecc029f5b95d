package config

import (
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// privateNetworks are where clients of a resolver normally are: loopback,
// RFC 1918, RFC 6598, link-local and ULA.
var privateNetworks = prefixes(
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
	"::1/128", "fc00::/7", "fe80::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParsePrefix(t)
	}
	return all
}

// Contains reports whether a is in one of the networks. A zone is ignored and
// an IPv4 address in IPv6 form counts as IPv4.
func (n Networks) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return n.Private && covers(privateNetworks, a) || covers(n.Prefixes, a)
}

func covers(in []netip.Prefix, a netip.Addr) bool {
	for _, p := range in {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr reads an address without port and zone.
func (d *decoder) parseAddr(v value) (netip.Addr, bool) {
	s, ok := d.text(v)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		d.fault(v, "%s %s is not an address: write one such as 192.0.2.10 or 2001:db8::10", v.key, s)
	case a.Zone() != "":
		d.fault(v, "%s %s has a zone: an address with %%%s means something on one machine only, remove the zone or use another address", v.key, s, a.Zone())
	default:
		return a.Unmap(), true
	}
	return netip.Addr{}, false
}

// parsePrefix reads a network; an address alone is a network of one.
func (d *decoder) parsePrefix(v value) (netip.Prefix, bool) {
	s, ok := d.text(v)
	if !ok {
		return netip.Prefix{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		d.fault(v, "%s %s is not a network: write one such as 10.20.0.0/16 or 2001:db8::/32", v.key, s)
	case p.Addr().Is4In6():
		d.fault(v, "%s %s is an IPv4 network in IPv6 form: write it in IPv4 form", v.key, s)
	case p != p.Masked():
		d.fault(v, "%s %s has bits beyond its length: write %s", v.key, s, p.Masked())
	default:
		return p, true
	}
	return netip.Prefix{}, false
}

// parsePrefixes reads a list of distinct networks.
func (d *decoder) parsePrefixes(v value) []netip.Prefix {
	var all []netip.Prefix
	for _, item := range d.list(v) {
		if p, ok := d.parsePrefix(item); ok {
			all = d.addPrefix(all, item, p)
		}
	}
	return all
}

func (d *decoder) addPrefix(all []netip.Prefix, v value, p netip.Prefix) []netip.Prefix {
	if slices.Contains(all, p) {
		d.fault(v, "%s has %s twice: remove one", v.key, p)
		return all
	}
	return append(all, p)
}

func networks[T any](at func(*T) *[]netip.Prefix) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) { *at(into) = d.parsePrefixes(v) }
}

// decodeRecursion reads who may use the chain below us: networks and the word
// private. An empty list means nobody.
func decodeRecursion(d *decoder, v value, c *Config) {
	c.Recursion = Networks{}
	for _, item := range d.list(v) {
		if item.node.Kind == yaml.ScalarNode && strings.TrimSpace(item.node.Value) == "private" {
			c.Recursion.Private = true
			continue
		}
		if p, ok := d.parsePrefix(item); ok {
			c.Recursion.Prefixes = d.addPrefix(c.Recursion.Prefixes, item, p)
		}
	}
}
