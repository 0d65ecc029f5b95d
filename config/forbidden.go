package config

import (
	"net/netip"
	"slices"
)

// Why probes never go to a range.
const (
	isMetadata    = "a cloud's metadata address, which hands out credentials"
	isPlatform    = "a cloud's platform address, the same in every region"
	isUnspecified = "an unspecified address, which reaches this machine"
	isLoopback    = "a loopback address, which reaches this machine and no region"
	isLinkLocal   = "a link-local address, which is another machine on each link"
	isMulticast   = "a multicast address, which is no single machine"
	isBroadcast   = "the broadcast address, which is no single machine"
	isReserved    = "a reserved address, unless the networks of a region hold it"
	isTranslated  = "an address that a translator of some network turns into an IPv4 address, unless the networks of a region hold it"
	isOwnAdmin    = "the port of our own admin API on this machine, which is up as long as we are"
)

// forbiddenRange is a range that probes never go to, and why.
type forbiddenRange struct {
	prefix netip.Prefix
	reason string
	held   bool // the networks of a region may hold it: then it is a machine of ours
}

// forbidden are the ranges that probes never go to. The first that holds an
// address gives the reason, so single addresses come first. The addresses of
// clouds are those that their documentation names.
var forbidden = slices.Concat(
	never(isMetadata,
		"169.254.169.254/32",     // most clouds
		"169.254.170.2/32",       // AWS, containers
		"169.254.170.23/32",      // AWS, pods
		"169.254.42.42/32",       // Scaleway
		"169.254.0.23/32",        // Tencent
		"100.100.100.200/32",     // Alibaba
		"192.0.0.192/32",         // Oracle
		"fd00:ec2::254/128",      // AWS
		"fd00:ec2::23/128",       // AWS, pods
		"fd20:ce::254/128",       // Google
		"fd00:42::42/128",        // Scaleway
		"fd00:c1::a9fe:a9fe/128", // Oracle
		"fd00:a9fe:a9fe::1/128",  // Akamai
		"fd00:100::100:200/128",  // Alibaba
		"fe80::a9fe:a9fe/128",    // OpenStack, Akamai
	),
	never(isPlatform, "168.63.129.16/32", "fd00:ec2::/32"),
	never(isUnspecified, "0.0.0.0/8", "::/128"),
	never(isLoopback, "127.0.0.0/8", "::1/128"),
	never(isLinkLocal, "169.254.0.0/16", "fe80::/10"),
	never(isMulticast, "224.0.0.0/4", "ff00::/8"),
	never(isBroadcast, "255.255.255.255/32"),
	[]forbiddenRange{
		{netip.MustParsePrefix("240.0.0.0/4"), isReserved, true},
		{localNAT64, isTranslated, true},
	},
)

func never(reason string, texts ...string) (all []forbiddenRange) {
	for _, p := range prefixes(texts...) {
		all = append(all, forbiddenRange{prefix: p, reason: reason})
	}
	return all
}

// Targets says where probes may go. It decides for everything that is probed:
// addresses in the file, what names and catalogs lead to, canaries, self-checks,
// proofs, and probes by hand.
type Targets struct {
	Allow   []netip.Prefix // exceptions (`probes.allow_targets`)
	Regions []Region       // whose networks hold reserved addresses that are ours

	Admin netip.AddrPort        // where our admin API listens; the zero value: not on TCP
	Local func(netip.Addr) bool // whether an address is this machine's; nil: nobody can tell
}

// Targets returns where probes of c may go, as far as c can tell.
func (c *Config) Targets() Targets {
	t := Targets{Allow: c.Probes.AllowTargets, Regions: c.Regions}
	if l := c.Admin.Listen; l != nil && !c.Admin.Off && l.Scheme == "tcp" {
		t.Admin, _ = netip.ParseAddrPort(l.Host) // else it listens nowhere
	}
	return t
}

// Forbidden reports whether probes must not go to a, whatever the port, and why.
func (t Targets) Forbidden(a netip.Addr) (reason string, isForbidden bool) {
	return t.Refuses(netip.AddrPortFrom(a, 0))
}

// Refuses reports whether probes must not go to an address and port, and why.
// What an IPv6 address carries in it counts as that address itself does: a tunnel
// or a translator would deliver it there. Port 0 is no port.
func (t Targets) Refuses(to netip.AddrPort) (reason string, isForbidden bool) {
	a := to.Addr().Unmap().WithZone("")
	if !a.IsValid() {
		return "not an address", true
	}
	if t.own(a, to.Port()) {
		return isOwnAdmin, true
	}
	if covers(t.Allow, a) {
		return "", false
	}
	length := t.length(a)
	if reason, bad := inForbidden(a, length >= 0); bad {
		return reason, true
	}
	for _, v4 := range carried(a, length) {
		if reason, bad := t.Refuses(netip.AddrPortFrom(v4, to.Port())); bad {
			return "the IPv6 form of " + v4.String() + ", " + reason, true
		}
	}
	return "", false
}

// inForbidden reports in which range an address is, if any; held: the networks of a
// region hold it.
func inForbidden(a netip.Addr, held bool) (reason string, bad bool) {
	for _, f := range forbidden {
		if f.prefix.Contains(a) && (!f.held || !held) {
			return f.reason, true
		}
	}
	return "", false
}

// own reports whether a port of an address is where our admin API listens. No
// exception holds for it.
func (t Targets) own(a netip.Addr, port uint16) bool {
	if !t.Admin.IsValid() || port != t.Admin.Port() || port == 0 {
		return false
	}
	return a == t.Admin.Addr().Unmap().WithZone("") || t.Local != nil && t.Local(a)
}

// Within reports whether an address may be in a region: it lies in one of the networks
// of the region, where those are given.
func (t Targets) Within(region string, a netip.Addr) bool {
	i := slices.IndexFunc(t.Regions, func(r Region) bool { return r.Name == region })
	return i < 0 || len(t.Regions[i].Networks) == 0 || covers(t.Regions[i].Networks, a.Unmap())
}

// length returns the length of the longest of the regions' networks that hold a,
// -1 if none does.
func (t Targets) length(a netip.Addr) int {
	longest := -1
	for i := range t.Regions {
		for _, p := range t.Regions[i].Networks {
			if p.Contains(a) {
				longest = max(longest, p.Bits())
			}
		}
	}
	return longest
}
