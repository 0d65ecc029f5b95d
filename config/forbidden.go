package config

import "net/netip"

// forbidden are the ranges that probes never go to, and why. The first that
// holds an address gives the reason, so single addresses come first.
var forbidden = []struct {
	prefix netip.Prefix
	reason string
}{
	{netip.MustParsePrefix("169.254.169.254/32"), "a cloud's metadata address, which hands out credentials"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "a cloud's metadata address, which hands out credentials"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "a cloud's metadata address, which hands out credentials"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's platform address, the same in every region"},
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified address, which reaches this machine"},
	{netip.MustParsePrefix("::/128"), "an unspecified address, which reaches this machine"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address, which reaches this machine and no region"},
	{netip.MustParsePrefix("::1/128"), "a loopback address, which reaches this machine and no region"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, which is another machine on each link"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address, which is another machine on each link"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address, which is no single machine"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address, which is no single machine"},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address, which is no single machine"},
}

// nat64 is the well-known prefix whose last 32 bits are an IPv4 address
// (RFC 6052): it must not lead to what is forbidden there.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// ForbiddenTarget reports whether probes must not go to a, and why. Networks
// in allow (`probes.allow_targets`) are exceptions.
func ForbiddenTarget(a netip.Addr, allow []netip.Prefix) (reason string, isForbidden bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return "not an address", true
	}
	if covers(allow, a) {
		return "", false
	}
	if nat64.Contains(a) {
		b := a.As16()
		return ForbiddenTarget(netip.AddrFrom4([4]byte(b[12:])), allow)
	}
	for _, f := range forbidden {
		if f.prefix.Contains(a) {
			return f.reason, true
		}
	}
	return "", false
}

// refuseTarget faults an address that probes must not go to.
func (d *decoder) refuseTarget(v value, a netip.Addr) {
	if reason, ok := ForbiddenTarget(a, d.cfg.Probes.AllowTargets); ok {
		d.fault(v, "%s is never probed, it is %s: use another address, or list it in probes.allow_targets", a, reason)
	}
}
