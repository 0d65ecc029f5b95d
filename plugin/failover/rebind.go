package failover

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
)

// unbound takes addresses of private networks out of answers for public names. What
// the name is an alias of counts for nothing: who owns it chose that, too.
func (e *editor) unbound(m *dns.Msg) *dns.Msg {
	rebind := &e.f.shared.load().Plan.Config.Rebind
	if !rebind.Block || !slices.ContainsFunc(m.Answer, isPrivate) && !slices.ContainsFunc(m.Extra, isPrivate) || !rebind.Blocks(strings.ToLower(e.r.Question[0].Name)) {
		return m
	}
	e.f.shared.rebinds.Add(1)
	out := *m
	out.AuthenticatedData = false
	out.Answer, out.Extra = without(m.Answer, isPrivate), without(m.Extra, isPrivate)
	explain(&out, e.r, dns.ExtendedErrorCodeBlocked, "rebind: a private address of a public name")
	return &out
}

// isPrivate reports whether a record leads to an address of a private network: by its
// value, or by a hint of HTTPS and SVCB (RFC 9460 section 7.3).
func isPrivate(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		return privateIP(rr.A)
	case *dns.AAAA:
		return privateIP(rr.AAAA)
	case *dns.HTTPS:
		return hintsPrivate(rr.Value)
	case *dns.SVCB:
		return hintsPrivate(rr.Value)
	}
	return false
}

func hintsPrivate(values []dns.SVCBKeyValue) bool {
	for _, kv := range values {
		switch hint := kv.(type) {
		case *dns.SVCBIPv4Hint:
			if slices.ContainsFunc(hint.Hint, privateIP) {
				return true
			}
		case *dns.SVCBIPv6Hint:
			if slices.ContainsFunc(hint.Hint, privateIP) {
				return true
			}
		}
	}
	return false
}

// privateIP reports whether an address, or one that a tunnel or a translator would
// take out of it, is of a private network.
func privateIP(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	return ok && (isInside(a) || slices.ContainsFunc(config.Carried(a.Unmap()), isInside))
}

// inside are networks, besides those that are private, that no public name's machine has
// (IANA special-purpose address registries: not globally reachable; RFC 3879 for fec0::/10),
// and that some sites use.
var inside = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fec0::/10"),
}

func isInside(a netip.Addr) bool {
	a = a.Unmap()
	return guard.Private(a) || a.IsMulticast() || slices.ContainsFunc(inside, func(p netip.Prefix) bool { return p.Contains(a) })
}
