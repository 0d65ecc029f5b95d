package guard

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// judgment is what a reply says of a name's addresses.
type judgment struct {
	answer  guard.Answer // if it is complete
	failure failure      // if it is one; else None
	learn   bool         // the answer may be kept
	cut     bool         // it was cut short, and says nothing: who asked by UDP asks again by TCP
}

// judge reads a reply to a question for the addresses of a name, in lower case.
// A reply that is neither a complete answer nor a failure says nothing: it is
// passed on and not kept.
func judge(m *dns.Msg, name string, qtype uint16) (j judgment) {
	switch {
	case !echoes(m, name, qtype):
		j.failure = guard.Servfail
	case m.Truncated:
		j.cut = true
	case m.Rcode == dns.RcodeNameError:
		j.failure = guard.NXDomain
	case m.Rcode == dns.RcodeServerFailure && bogus(m):
		j.failure = guard.Bogus
	case m.Rcode != dns.RcodeSuccess:
		j.failure = guard.Servfail
	default:
		j.answer = answerOf(m, name, qtype)
		if len(j.answer.Addrs) == 0 {
			j.failure = guard.NoData
			return j
		}
		j.learn = first(m) && len(j.answer.Chain) <= guard.MaxChain
		if j.learn && hasSignatures(m.Answer) {
			j.answer.Signed = signed(m, name, qtype, &j.answer)
		}
	}
	return j
}

// echoes reports whether m is a reply to this question (RFC 5452 section 9.1).
func echoes(m *dns.Msg, name string, qtype uint16) bool {
	return m.Response && len(m.Question) == 1 && m.Question[0].Qtype == qtype && m.Question[0].Qclass == dns.ClassINET &&
		strings.EqualFold(m.Question[0].Name, name)
}

// answerOf follows the chain from name in the answer section, and returns the
// addresses at its end. Records that do not belong to the chain are not looked at.
func answerOf(m *dns.Msg, name string, qtype uint16) (a guard.Answer) {
	chain, ttl, ok := chainOf(m.Answer, name)
	if !ok {
		return a
	}
	a.Chain = chain
	owner := name
	if len(chain) > 0 {
		owner = chain[len(chain)-1]
	}
	for _, rr := range m.Answer {
		if !owns(rr, owner, qtype) {
			continue
		}
		if ip, ok := address(rr); ok && len(a.Addrs) < guard.MaxMembers && !slices.Contains(a.Addrs, ip) {
			a.Addrs, ttl = append(a.Addrs, ip), min(ttl, rr.Header().Ttl)
		}
	}
	a.TTL = ttl
	return a
}

// owns reports whether rr is a record of this owner and type.
func owns(rr dns.RR, owner string, rrtype uint16) bool {
	h := rr.Header()
	return h.Rrtype == rrtype && h.Class == dns.ClassINET && strings.EqualFold(h.Name, owner)
}

// chainOf follows the CNAMEs from name. One that goes round is none.
func chainOf(rrs []dns.RR, name string) (chain []string, ttl uint32, ok bool) {
	ttl = math.MaxInt32
	for owner := name; ; {
		target, t := linkAt(rrs, owner)
		if target == "" {
			return chain, ttl, true
		}
		if len(chain) == maxFollowed {
			return nil, 0, false
		}
		chain = append(chain, target)
		owner, ttl = target, min(ttl, t)
	}
}

// maxFollowed bounds a chain, so that one that goes round ends: no resolver follows as many.
const maxFollowed = 64

func linkAt(rrs []dns.RR, owner string) (target string, ttl uint32) {
	for _, rr := range rrs {
		if c, ok := rr.(*dns.CNAME); ok && owns(rr, owner, dns.TypeCNAME) {
			return strings.ToLower(c.Target), c.Hdr.Ttl
		}
	}
	return "", 0
}

func address(rr dns.RR) (ip netip.Addr, ok bool) {
	switch x := rr.(type) {
	case *dns.A:
		ip, ok = netip.AddrFromSlice(x.A)
		ip = ip.Unmap()
	case *dns.AAAA:
		ip, ok = netip.AddrFromSlice(x.AAAA)
		ok = ok && !ip.Is4In6()
	}
	return ip, ok
}

// secondHand are the extended errors of answers that are stale, forged, cached
// failures or not ready: what is said so is not learned (RFC 8914 section 4).
var secondHand = map[uint16]bool{
	dns.ExtendedErrorCodeStaleAnswer: true, dns.ExtendedErrorCodeForgedAnswer: true, dns.ExtendedErrorCodeCachedError: true,
	dns.ExtendedErrorCodeNotReady: true, dns.ExtendedErrorCodeStaleNXDOMAINAnswer: true,
	dns.ExtendedErrorCodeNoReachableAuthority: true, 29: true, // Synthesized
}

// first reports whether an answer is the name's own, for everybody and now.
func first(m *dns.Msg) bool {
	opt := m.IsEdns0()
	if opt == nil {
		return true
	}
	for _, o := range opt.Option {
		switch x := o.(type) {
		case *dns.EDNS0_EDE:
			if secondHand[x.InfoCode] {
				return false
			}
		case *dns.EDNS0_SUBNET:
			if x.SourceScope > 0 {
				return false
			}
		}
	}
	return true
}

// bogus reports whether a SERVFAIL says that validation failed: the extended
// errors 5 to 12 of RFC 8914.
func bogus(m *dns.Msg) bool {
	opt := m.IsEdns0()
	if opt == nil {
		return false
	}
	for _, o := range opt.Option {
		if x, ok := o.(*dns.EDNS0_EDE); ok && x.InfoCode >= dns.ExtendedErrorCodeDNSSECIndeterminate && x.InfoCode <= dns.ExtendedErrorCodeNSECMissing {
			return true
		}
	}
	return false
}
