package crash

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A file of what the runtime says begins with lines of ours, one for each
// configuration that was taken.
const (
	takenPrefix = "detour takes "
	maxText     = 300
	ours        = "github.com/detour-dns/detour/"
)

func takenLine(hash, version string, at time.Time) string {
	return fmt.Sprintf("%s%s %s %s\n", takenPrefix, hash, at.UTC().Format(time.RFC3339Nano), version)
}

// beginnings are those of a crash. Others, as of a dump that was asked for with a
// signal, are none.
var beginnings = []string{"panic: ", "fatal error: ", "unexpected fault address ", stackBegins}

// Go 1.26 does not write the line with a fatal error's name to the file, only the
// stacks.
const (
	stackBegins = "goroutine "
	fatalError  = "fatal error of the Go runtime, its name is in the log only"
)

// report is what a file says.
type report struct {
	config  string    // taken last, "" if none
	taken   time.Time // zero if none
	version string    // of the program
	text    string    // "": it was no crash
	where   string
}

// parse reads what is in a file. It may be cut anywhere, or be anything.
func parse(data []byte) (r report) {
	lines := strings.Split(string(data), "\n")
	for len(lines) > 0 && (lines[0] == "" || strings.HasPrefix(lines[0], takenPrefix)) {
		r.took(strings.TrimPrefix(lines[0], takenPrefix))
		lines = lines[1:]
	}
	if len(lines) == 0 || !begins(lines[0]) {
		return r
	}
	r.text = clean(lines[0])
	if strings.HasPrefix(lines[0], stackBegins) {
		r.text = fatalError
	}
	for i, line := range lines[:len(lines)-1] {
		if call, ok := strings.CutPrefix(line, ours); ok {
			r.where = place(call, lines[i+1])
			break
		}
	}
	return r
}

func begins(line string) bool {
	return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(line, b) })
}

// took reads what follows the prefix of a line of ours.
func (r *report) took(line string) {
	hash, rest, _ := strings.Cut(line, " ")
	at, version, _ := strings.Cut(rest, " ")
	if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
		r.config, r.taken, r.version = clean(hash), t, clean(version)
	}
}

// place makes "internal/steer.Build, build.go:120" of a call of ours and of the line
// below it.
func place(call, at string) string {
	if i := strings.LastIndexByte(call, '('); i > 0 {
		call = call[:i]
	}
	at, _, _ = strings.Cut(strings.TrimSpace(at), " ")
	return clean(call + ", " + path.Base(at))
}

// clean makes a line that may be shown to a person.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxText {
		s = string(runes[:maxText])
	}
	return strings.TrimSpace(s)
}
