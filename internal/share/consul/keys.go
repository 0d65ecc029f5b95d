package consul

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// keys names what is stored where.
type keys struct{ base string }

func (k keys) who(observer string) string { return k.base + "who/" + observer }
func (k keys) op(observer string) string  { return k.base + "op/" + observer }

// kept is the prefix of what the guards of a zone keep. A zone that is not named has
// a key that no other has.
func (k keys) kept(zone string) string {
	if zone == "" {
		return k.base + "kept/~/"
	}
	return k.base + "kept/" + escape(zone) + "/"
}

// keptBy is the prefix of what one observer's guards keep: nobody else writes there.
func (k keys) keptBy(zone, observer string) string { return k.kept(zone) + escape(observer) + "/" }

// parseKept returns whose a key under kept/ is, false if this program would not write
// such a key.
func (k keys) parseKept(key string) (at keptAt, ok bool) {
	rest, ok := strings.CutPrefix(key, k.base+"kept/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return at, false
	}
	if parts[0] != "~" {
		if at.zone, ok = unescape(parts[0]); !ok || at.zone == "" {
			return at, false
		}
	}
	at.observer, ok = unescape(parts[1])
	at.digest = parts[2]
	return at, ok && at.observer != ""
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
