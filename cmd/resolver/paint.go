package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Colors of a terminal (ECMA-48): what is wrong, what is not as it should be, what is well.
const (
	red, yellow, green = "\x1b[31m", "\x1b[33m", "\x1b[32m"
	plainAgain         = "\x1b[0m"
)

// colors reports whether to use colors: on a terminal that knows them, unless NO_COLOR is
// set (no-color.org).
func colors(out io.Writer) bool {
	_, ok := terminal(out)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// stateColors are the words that have a color, in the sentence and in columns STATE. A
// color never says more than its word.
var stateColors = []struct{ word, color string }{
	{"PANIC", red},
	{"DOWN", red},
	{"NO BACKUP", red},
	{"WRITER MOVED", red},
	{"DEGRADED", yellow},
	{"failing", yellow},
	{"partly failing", yellow},
	{"drained", yellow},
	{"moved", yellow},
	{"returning", yellow},
	{"reduced", yellow},
	{"suspected", yellow},
	{"HEALTHY", green},
	{"up", green},
	{"ok", green},
}

// painter colors the lines of a status, one after the other.
type painter struct {
	on    bool
	lines int // that were seen
	at    int // in characters, where the column STATE begins; 0: in no table
}

// line colors a line.
func (p *painter) line(text string) string {
	p.lines++
	if !p.on {
		return text
	}
	at := p.at
	switch header := strings.Index(text, "  STATE"); {
	case p.lines == 1:
		at = 0
	case header >= 0 && strings.ToUpper(text) == text:
		p.at = utf8.RuneCountInString(text[:header]) + 2
		return text
	case text == "":
		p.at = 0
		return text
	case at == 0:
		return text
	}
	return colored(text, at)
}

// colored colors the word that begins at a character.
func colored(text string, at int) string {
	runes := []rune(text)
	if at >= len(runes) {
		return text
	}
	before, rest := string(runes[:at]), string(runes[at:])
	for _, c := range stateColors {
		if after, ok := strings.CutPrefix(rest, c.word); ok && (after == "" || after[0] == ' ' || after[0] == ',') {
			return before + c.color + c.word + plainAgain + after
		}
	}
	return text
}
