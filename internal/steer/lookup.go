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

// fewLabels is after how many ancestors the closest encloser is looked for from the other
// end: most names lie right below it, and a hostile one may have 127 labels.
const fewLabels = 4

// lookupWild looks for a wildcard above a name that does not exist itself: one
// that does, an empty non-terminal say, is no wildcard's (RFC 4592 section 2.2.2).
func (p *Plan) lookupWild(name []byte) (int32, bool) {
	at := p.encloser(name)
	i, ok := p.wild[string(name[at:])]
	return i, ok && !underscored(name[:at]) && !excepted(p.Services[i].Except, name)
}

// encloser returns where the longest ancestor of a name begins that exists, the name's
// length if none does.
func (p *Plan) encloser(name []byte) int {
	rest := name
	for range fewLabels {
		if rest = parentOf(rest); len(rest) == 0 {
			return len(name)
		}
		if p.Exists(rest) {
			return len(name) - len(rest)
		}
	}
	at := len(name)
	for {
		start := labelBefore(name, at)
		if start == 0 || !p.Exists(name[start:]) {
			return at
		}
		at = start
	}
}

// underscored reports whether a label begins with an underscore.
func underscored(labels []byte) bool {
	for rest := labels; len(rest) > 0; rest = parentOf(rest) {
		if rest[0] == '_' {
			return true
		}
	}
	return false
}

// Near reports whether a name, in any case and with its last dot, exists or lies below a
// wildcard. It costs little for one that does not, however many labels that has.
func (p *Plan) Near(name string) bool {
	var buf [maxText]byte
	if len(name) > maxText {
		return true // it is looked up
	}
	end, at := len(name), maxText
	for end > 0 {
		start := labelBefore(name, end)
		was := at
		for i := end - 1; i >= start; i-- {
			at--
			if buf[at] = name[i]; 'A' <= name[i] && name[i] <= 'Z' {
				buf[at] += 'a' - 'A'
			}
		}
		if !p.Exists(buf[at:]) {
			_, wild := p.wild[string(buf[was:])]
			return wild
		}
		end = start
	}
	return true
}

// maxText is the longest text of a name: 255 octets (RFC 1035 section 2.3.4), of which all
// but the lengths of labels may be escaped as `\ddd`.
const maxText = 4 * 255

// labelBefore returns where the label begins that ends, with its dot, before an index.
func labelBefore[T string | []byte](name T, end int) int {
	for i := end - 2; i >= 0; i-- {
		if name[i] == '.' && !escaped(name, i) {
			return i + 1
		}
	}
	return 0
}

// escaped reports whether the byte at an index is escaped.
func escaped[T string | []byte](name T, at int) (yes bool) {
	for i := at - 1; i >= 0 && name[i] == '\\'; i-- {
		yes = !yes
	}
	return yes
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
	return slices.ContainsFunc(except, func(e string) bool {
		at := len(name) - len(e)
		return at >= 0 && string(name[at:]) == e && (at == 0 || name[at-1] == '.' && !escaped(name, at-1))
	})
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
