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
func (p *Plan) Lookup(name []byte) (service int32, ok bool) {
	if i, ok := p.names[string(name)]; ok {
		return i, true
	}
	if len(p.wild) == 0 {
		return 0, false
	}
	return p.lookupWild(name)
}

// Wild reports whether any service is a wildcard, in which case labels must be
// walked for names that are not ours.
func (p *Plan) Wild() bool { return len(p.wild) > 0 }

// Exists reports whether a name is ours (a service's or another owner) or an ancestor of one: names
// of which no NXDOMAIN may be said (RFC 8020).
func (p *Plan) Exists(name []byte) bool { return p.exists[string(name)] }

func (p *Plan) lookupWild(name []byte) (int32, bool) {
	if p.exists[string(name)] {
		return 0, false // an empty non-terminal is a name (RFC 4592 section 2.2.2)
	}
	for rest := name; ; {
		if rest[0] == '_' {
			return 0, false
		}
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 || dot == len(rest)-1 {
			return 0, false
		}
		rest = rest[dot+1:]
		if !p.exists[string(rest)] {
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
