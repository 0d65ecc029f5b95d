package guard

import (
	"math"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

func hasSignatures(rrs []dns.RR) bool {
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			return true
		}
	}
	return false
}

// maxWire bounds a signed answer that is kept, in bytes.
const maxWire = 8 << 10

// signed keeps an answer with its signatures: the records of its chain in their
// order, and nothing else. It is nil if one of them has no signature, or is there
// by a wildcard, which needs a proof from elsewhere; or if all is too large.
func signed(m *dns.Msg, name string, qtype uint16, a *guard.Answer) *guard.Signed {
	s := sealed{until: math.MaxUint32}
	owner := name
	for _, target := range a.Chain {
		if !s.add(m.Answer, owner, dns.TypeCNAME, 1) {
			return nil
		}
		owner = target
	}
	if !s.add(m.Answer, owner, qtype, len(a.Addrs)) {
		return nil
	}
	wire, err := (&dns.Msg{Answer: s.rrs, Compress: true}).Pack()
	if err != nil || len(wire) > maxWire {
		return nil
	}
	return &guard.Signed{
		Wire: wire, From: guard.At(time.Unix(int64(s.from), 0)), Until: guard.At(time.Unix(int64(s.until), 0)),
		IPs: append([]netip.Addr(nil), a.Addrs...),
	}
}

// sealed are records with their signatures, and the time within which all of these
// are valid.
type sealed struct {
	rrs         []dns.RR
	from, until uint32
}

// add adds a set of so many records and behind them its signatures, and reports
// whether it is whole.
func (s *sealed) add(rrs []dns.RR, owner string, rrtype uint16, want int) bool {
	var sigs []dns.RR
	for _, rr := range rrs {
		switch sig, ok := rr.(*dns.RRSIG); {
		case owns(rr, owner, rrtype):
			s.rrs, want = append(s.rrs, rr), want-1
		case !ok || sig.TypeCovered != rrtype || !owns(rr, owner, dns.TypeRRSIG):
		case int(sig.Labels) < dns.CountLabel(owner):
			return false
		default:
			sigs, s.from, s.until = append(sigs, rr), max(s.from, sig.Inception), min(s.until, sig.Expiration)
		}
	}
	s.rrs = append(s.rrs, sigs...)
	return len(sigs) > 0 && want == 0
}
