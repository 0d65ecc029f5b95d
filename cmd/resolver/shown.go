package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/detour-dns/detour/config"
)

// shown is where the command writes. What it shows comes from others, by way of
// files, resolvers and stores, and must not steer the terminal: of control
// characters only the ends of lines and tabs pass, others are shown as what they
// are. They are written as JSON writes them, and so stay what they were in JSON.
type shown struct{ to io.Writer }

// Write implements io.Writer. It is given whole characters.
func (p shown) Write(text []byte) (int, error) {
	if !bytes.ContainsFunc(text, steers) {
		return p.to.Write(text)
	}
	var b strings.Builder
	for _, r := range string(text) {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	if _, err := io.WriteString(p.to, b.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// steers reports whether a terminal may do something else with a character than
// show it. Bytes that are no character may be such to an old terminal.
func steers(r rune) bool {
	return r == utf8.RuneError || r != '\n' && r != '\t' && config.IsControl(r)
}
