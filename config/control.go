package config

import (
	"strings"
	"unicode"
)

// IsControl reports whether a character is not shown but changes how what is around
// it is: control characters, with which terminals are steered, and those that end a
// line or turn the direction of writing.
func IsControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// Control returns the first such character of a text. What people write for others
// to read has none.
func Control(text string) (r rune, found bool) {
	if i := strings.IndexFunc(text, IsControl); i >= 0 {
		for _, r = range text[i:] {
			return r, true
		}
	}
	return 0, false
}

// readable is text without control characters.
func readable[T any](to func(*T) *string) func(*decoder, value, *T) {
	return func(d *decoder, v value, t *T) {
		s, ok := d.text(v)
		if !ok {
			return
		}
		if r, bad := Control(s); bad {
			d.fault(v, "%s holds %U, a character that steers terminals or ends a line: write it as plain text in one line", v.key, r)
			return
		}
		*to(t) = s
	}
}
