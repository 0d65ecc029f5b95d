package server

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/plugin/guard"
)

// Fault is one thing that is wrong with a Corefile or a file that it names, or
// one warning about it.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0 if the fault has no place
	Col     int    `json:"col,omitempty"`  // from 1; 0 in a Corefile, where a line says enough
	Message string `json:"message"`        // one line that says what to do

	about string // the failover.yaml that has it, "" if it is another's
}

// Error returns "file:line: message", with the column where there is one.
func (f Fault) Error() string {
	switch {
	case f.Line == 0:
		return f.File + ": " + f.Message
	case f.Col == 0:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Message)
}

// Faults are all the faults of a Corefile and the files that it names.
type Faults []Fault

// Error returns one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted makes the messages fit for a terminal and a log, whatever is in the
// file that they quote, and orders the faults by place, the Corefile's own first. Two blocks with
// the same failover.yaml name its faults twice; they come out once.
func (fs Faults) sorted(corefile string) Faults {
	for i := range fs {
		fs[i].Message = printable(fs[i].Message)
	}
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(rank(a, corefile), rank(b, corefile)), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(fs)
}

func rank(f Fault, corefile string) int {
	if f.File == corefile {
		return 0
	}
	return 1
}

// position is how Caddy says where something is: "Corefile:4 - Error during
// parsing: ". Plugins put their name before it, some of them twice.
var position = regexp.MustCompile(`^(.*?)(\S+):(\d+) - (?:Error during parsing|Syntax error): `)

// locate makes faults of what a setup function or the parser returned. where is
// the directive's own place, for an error that names none.
func locate(where Fault, err error) Faults {
	var inFile config.Faults
	if errors.As(err, &inFile) {
		return fromConfig(where, inFile)
	}
	var several guard.Faults
	if errors.As(err, &several) {
		var out Faults
		for _, f := range several {
			out = append(out, locate(where, f)...)
		}
		return out
	}
	text := oneLine(err.Error())
	if m := position.FindStringSubmatch(text); m != nil {
		where.File = m[2]
		where.Line, _ = strconv.Atoi(m[3])
		text = text[len(m[0]):]
	}
	where.Message = where.Message + ": " + advise(where.Message, trimPlugin(text))
	return Faults{where}
}

// fromConfig keeps the places inside the file. A file that cannot be read has
// none: then the place is the line that names it.
func fromConfig(where Fault, in config.Faults) Faults {
	out := make(Faults, 0, len(in))
	for _, f := range in {
		if f.Line == 0 {
			out = append(out, Fault{File: where.File, Line: where.Line, Message: where.Message + ": " + f.Error(), about: f.File})
			continue
		}
		out = append(out, Fault{File: f.File, Line: f.Line, Col: f.Col, Message: f.Message, about: f.File})
	}
	return out
}

var pluginPrefix = regexp.MustCompile(`^(?:plugin/[a-z0-9_]+: )+`)

func trimPlugin(text string) string { return pluginPrefix.ReplaceAllString(text, "") }

func printable(s string) string {
	return oneLine(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
