package steer

import (
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
		if rest = parentOf(rest); len(rest) == 0 {
			return 0, false
		}
		if !p.Exists(rest) {
			continue
		}
		i, ok := p.wild[string(rest)]
		return i, ok && !excepted(p.Services[i].Except, name)
	}
}

// parentOf returns a name without its first label, empty for a name of one label. A
// dot in a label is escaped, as `\.` or by its number (RFC 1035 section 5.1).
func parentOf(name []byte) []byte {
	for i := 0; i < len(name)-1; i++ {
		switch name[i] {
		case '\\':
			i++ // what is escaped ends no label
		case '.':
			return name[i+1:]
		}
	}
	return nil
}

// excepted reports whether a name is one of some, or below one.
func excepted(except []string, name []byte) bool {
	if len(except) == 0 {
		return false
	}
	for rest := name; len(rest) > 0; rest = parentOf(rest) {
		if slices.Contains(except, string(rest)) {
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
