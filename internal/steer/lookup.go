package steer

import (
	"bytes"
	"net/netip"
	"slices"
)

// Lookup returns the service that answers for a name in lower case with its last
// dot. Wildcards follow RFC 4592: only the one at the closest encloser counts,
// never for labels that start with an underscore (they are other protocols'
// names), nor at or below the names that the wildcard excepts.
//
// exists is true as well for other owners that are ours and for ancestors of what
// is: names of which no NXDOMAIN may be said (RFC 8020).
func (p *Plan) Lookup(name []byte) (service int32, ours, exists bool) {
	if i, ok := p.names[string(name)]; ok || len(p.wild) == 0 {
		return i, ok && i != ancestor, ok
	}
	i, ok := p.lookupWild(name)
	return i, ok, ok
}

// ancestor marks names that exist and are no service.
const ancestor = -1

// Exists reports whether a name is ours or an ancestor of one that is.
func (p *Plan) Exists(name []byte) bool {
	_, ok := p.names[string(name)]
	return ok
}

// lookupWild looks for a wildcard above a name that does not exist itself: one
// that does, an empty non-terminal say, is no wildcard's (RFC 4592 section 2.2.2).
func (p *Plan) lookupWild(name []byte) (int32, bool) {
	for rest := name; ; {
		if rest[0] == '_' {
			return 0, false
		}
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 || dot == len(rest)-1 {
			return 0, false
		}
		rest = rest[dot+1:]
		if !p.Exists(rest) {
			continue
		}
		i, ok := p.wild[string(rest)]
		return i, ok && !excepted(p.Services[i].Except, name)
	}
}

func excepted(except []string, name []byte) bool {
	for _, e := range except {
		if n := len(name) - len(e); n == 0 && string(name) == e ||
			n > 0 && name[n-1] == '.' && string(name[n:]) == e {
			return true
		}
	}
	return false
}

// Owns reports whether an address belongs to the endpoint of a service that is
// called target.
func (p *Plan) Owns(service int32, target string, ip netip.Addr) bool {
	return slices.ContainsFunc(p.Services[service].Pools, func(pool Pool) bool {
		return slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool {
			return e.Target == target && slices.ContainsFunc(e.Addrs, func(a Addr) bool { return a.IP == ip })
		})
	})
}
