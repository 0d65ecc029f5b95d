package failover

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// replyOPT begins the OPT record of a reply: what the question's says.
func replyOPT(req *dns.OPT) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(req.UDPSize())
	if req.Do() {
		opt.SetDo()
	}
	return opt
}

// explain adds an extended error (RFC 8914) to the reply m to r, beside what m says
// already. A client without EDNS is told nothing. The records of m are not changed,
// for a cache may hold them.
func explain(m, r *dns.Msg, code uint16, text string) {
	req := r.IsEdns0()
	if req == nil {
		return
	}
	opt := replyOPT(req)
	if said := m.IsEdns0(); said != nil {
		opt.Option = slices.Clone(said.Option)
	}
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: text})
	m.Extra = slices.DeleteFunc(slices.Clone(m.Extra), isOPT)
	m.Extra = append(m.Extra, opt)
}

func isOPT(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT }

// joined is the OPT record of a reply that has two parts: what the OPT records of
// both say, of which either may be nil. Of two client-subnet options the longer scope
// counts: the whole is right only where both parts are (RFC 7871 section 7.3.1). It is
// nil if neither says anything or the client has no EDNS.
func joined(req *dns.OPT, parts [2]*dns.OPT) *dns.OPT {
	if req == nil || parts[0] == nil && parts[1] == nil {
		return nil
	}
	var options []dns.EDNS0
	for _, part := range parts {
		if part != nil {
			options = append(options, part.Option...)
		}
	}
	opt := replyOPT(req)
	var subnet *dns.EDNS0_SUBNET
	for _, o := range options {
		switch e, ok := o.(*dns.EDNS0_SUBNET); {
		case !ok:
			opt.Option = append(opt.Option, o)
		case subnet == nil:
			own := *e
			subnet = &own
			opt.Option = append(opt.Option, subnet)
		default:
			subnet.SourceScope = max(subnet.SourceScope, e.SourceScope)
		}
	}
	return opt
}

// set names the records of one owner and type, which are signed together (RFC 4034
// section 3).
type set struct {
	owner string // in lower case
	t     uint16
}

// setsOf returns the sets in which one record is such as is says. A reply holds
// thousands of records, so that each is compared with none of the others.
func setsOf(rrs []dns.RR, is func(dns.RR) bool) map[set]bool {
	out := map[set]bool{}
	for _, rr := range rrs {
		if is(rr) {
			out[set{strings.ToLower(rr.Header().Name), rr.Header().Rrtype}] = true
		}
	}
	return out
}

// signsOneOf reports whether a record is the signature of one of the sets.
func signsOneOf(rr dns.RR, sets map[set]bool) bool {
	sig, ok := rr.(*dns.RRSIG)
	return ok && len(sets) > 0 && sets[set{strings.ToLower(sig.Hdr.Name), sig.TypeCovered}]
}

// without returns the records but for those of which gone is true and the signatures
// of their sets.
func without(rrs []dns.RR, gone func(dns.RR) bool) []dns.RR {
	sets := setsOf(rrs, gone)
	return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return gone(rr) || signsOneOf(rr, sets) })
}
