package transport

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Malformed reports whether a question's additional section breaks a rule for which
// the reply is FORMERR: more than one OPT record, or one that is not the root's (RFC
// 6891 section 6.1.1), or a client subnet that is not well formed (RFC 7871 section 6).
func Malformed(r *dns.Msg) bool {
	var opt *dns.OPT
	for _, rr := range r.Extra {
		o, ok := rr.(*dns.OPT)
		if !ok {
			continue
		}
		if opt != nil || o.Hdr.Name != "." {
			return true
		}
		opt = o
	}
	if opt == nil {
		return false
	}
	e := SubnetIn(opt)
	return e != nil && (e.SourceScope != 0 || hasStrayBits(e) || !hasItsOctets(opt))
}

// hasStrayBits reports whether bits of an address are set behind its prefix.
func hasStrayBits(e *dns.EDNS0_SUBNET) bool {
	a, ok := netip.AddrFromSlice(e.Address)
	if !ok {
		return false
	}
	if e.Family != 2 {
		a = a.Unmap()
	}
	p, err := a.Prefix(int(e.SourceNetmask))
	return err != nil || p.Addr() != a
}

// hasItsOctets reports whether the client subnet of an OPT record has as many octets as
// its prefix needs, no more. The library pads it when it reads it, so that only the
// length of the record tells, where all other options are such as are written as they
// were read.
func hasItsOctets(opt *dns.OPT) bool {
	const header = 11 // octets: the root, type, class, TTL and length
	if opt.Hdr.Rdlength == 0 {
		return true // it did not come from the wire
	}
	for _, o := range opt.Option {
		switch o.(type) {
		case *dns.EDNS0_SUBNET, *dns.EDNS0_COOKIE, *dns.EDNS0_NSID, *dns.EDNS0_PADDING, *dns.EDNS0_LOCAL:
		default:
			return true
		}
	}
	return dns.Len(opt) == header+int(opt.Hdr.Rdlength)
}

// SubnetIn returns the first client-subnet option, nil if there is none.
func SubnetIn(opt *dns.OPT) *dns.EDNS0_SUBNET {
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_SUBNET); ok {
			return e
		}
	}
	return nil
}
