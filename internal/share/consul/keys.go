package consul

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/detour-dns/detour/config"
)

// keys names what is stored where.
type keys struct{ base string }

func (k keys) who(zone, observer string) string { return k.base + "who/" + member(zone, observer) }
func (k keys) op(zone, observer string) string  { return k.base + "op/" + member(zone, observer) }
func (k keys) use(zone, observer string) string { return k.base + "use/" + member(zone, observer) }

// member is the part of a key that says whose value it holds. The zone stands in it,
// so that a token's rules bind its holder to one zone.
func member(zone, observer string) string { return zoneElement(zone) + "/" + observer }

// parseMember undoes member, false if that did not write it.
func parseMember(rest string) (zone, observer string, ok bool) {
	element, observer, _ := strings.Cut(rest, "/")
	if element != noZone {
		zone, ok = unescape(element)
	}
	return zone, observer, (element == noZone || ok && zone != "" && plain(zone)) && config.IsLabel(observer)
}

// noZone is the element of observers that name no zone. No zone is escaped to it.
const noZone = "~"

// zoneElement is a zone as one element of a path.
func zoneElement(zone string) string {
	if zone == "" {
		return noZone
	}
	return escape(zone)
}

// kept is the prefix of what the guards of a zone keep.
func (k keys) kept(zone string) string { return k.base + "kept/" + zoneElement(zone) + "/" }

// keptBy is the prefix of what one observer's guards keep: nobody else writes there.
func (k keys) keptBy(zone, observer string) string {
	return k.base + "kept/" + member(zone, observer) + "/"
}

// parseKept returns whose a key under kept/ is, false if this program would not write
// such a key.
func (k keys) parseKept(key string) (at keptAt, ok bool) {
	rest, ok := strings.CutPrefix(key, k.base+"kept/")
	cut := strings.LastIndexByte(rest, '/')
	if !ok || cut < 0 {
		return at, false
	}
	at.zone, at.observer, ok = parseMember(rest[:cut])
	at.digest = rest[cut+1:]
	return at, ok
}

// keptAt is where a record of a guard is.
type keptAt struct{ zone, observer, digest string }

// recordName is the key of a record after ctl/.
func recordName(kind, target string) string { return kind + "/" + escape(target) }

// escape makes one element of a path of any target, in letters that a URL, a shell
// and an ACL rule take as they are: what is none of them becomes ~ and two digits.
func escape(target string) string {
	var b strings.Builder
	for i := range len(target) {
		switch c := target[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "~%02X", c)
		}
	}
	return b.String()
}

// unescape undoes escape, false if that did not write it.
func unescape(element string) (target string, ok bool) {
	var b strings.Builder
	for rest := element; rest != ""; {
		plain, coded, more := strings.Cut(rest, "~")
		b.WriteString(plain)
		if rest = ""; more {
			c, err := hex.DecodeString(coded[:min(2, len(coded))])
			if err != nil || len(c) != 1 {
				return "", false
			}
			b.Write(c)
			rest = coded[2:]
		}
	}
	return b.String(), escape(b.String()) == element
}

// parseRecord returns what a key under ctl/ is about, false if this program would
// not write such a key.
func parseRecord(rest string) (kind, target string, ok bool) {
	kind, element, _ := strings.Cut(rest, "/")
	target, ok = unescape(element)
	return kind, target, ok && kinds[kind] && target != ""
}
