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
type unbound struct {
	dns.ResponseWriter
	r *dns.Msg
	s *shared
}

// WriteMsg implements dns.ResponseWriter.
func (u *unbound) WriteMsg(m *dns.Msg) error {
	if m == nil || !slices.ContainsFunc(m.Answer, isPrivate) && !slices.ContainsFunc(m.Extra, isPrivate) || !u.s.load().Plan.Config.Rebind.Blocks(strings.ToLower(u.r.Question[0].Name)) {
		return u.ResponseWriter.WriteMsg(m)
	}
	u.s.rebinds.Add(1)
	out := *m // the cache may hold it
	out.AuthenticatedData = false
	out.Answer, out.Extra = without(m.Answer), without(m.Extra)
	if asked := u.r.IsEdns0(); asked != nil {
		out.Extra = slices.DeleteFunc(out.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
		opt := replyOPT(asked)
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeBlocked, ExtraText: "rebind: a private address of a public name"})
		out.Extra = append(out.Extra, opt)
	}
	return u.ResponseWriter.WriteMsg(&out)
}

// Write implements dns.ResponseWriter for plugins that write wire format.
func (u *unbound) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return 0, err
	}
	return len(b), u.WriteMsg(m)
}

// without returns the records but for addresses of private networks and the
// signatures of their sets.
func without(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool {
		if sig, ok := rr.(*dns.RRSIG); ok {
			return slices.ContainsFunc(rrs, func(of dns.RR) bool {
				return of.Header().Rrtype == sig.TypeCovered && strings.EqualFold(of.Header().Name, sig.Hdr.Name) && isPrivate(of)
			})
		}
		return isPrivate(rr)
	})
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
	return ok && (guard.Private(a) || slices.ContainsFunc(config.Carried(a.Unmap()), guard.Private))
}
