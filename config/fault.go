package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Fault is one thing that is wrong with a file, or one warning about it: where
// it stands, what is wrong and what to do.
type Fault struct {
	File    string // as given to Load or Parse
	Line    int    // from 1; 0 if the fault has no place in the file
	Col     int    // from 1, in characters
	Message string // one line, no full stop
}

// Error returns "file:line:col: message", or "file: message" for a fault
// without a place, such as a file that cannot be read.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Message)
}

// Faults are all the faults of a file, sorted by position.
type Faults []Fault

// Error returns one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults by position, each once: a block that several
// services share by an alias is read several times.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(fs)
}

// maxMessage bounds a fault's message in bytes, because it quotes the file.
const maxMessage = 500

// oneLine makes a message fit for a terminal and a log line: the text that it
// quotes comes from a file that we do not trust.
func oneLine(s string) string {
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + " ..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
