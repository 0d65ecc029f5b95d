package config

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	yamlLine    = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	yamlUnknown = regexp.MustCompile(`^unknown anchor '([^']+)' referenced$`)
	yamlTab     = regexp.MustCompile(`^ *\t`)
)

// yamlFault places a syntax error of the YAML library, which at best knows its
// line, and says what to do about the common ones.
func yamlFault(path string, data []byte, err error) *Fault {
	msg := strings.TrimSpace(err.Error())
	f := &Fault{File: path, Line: 1, Col: 1}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		msg = strings.TrimPrefix(msg, m[0])
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			f.Line = n
			if !scanned(msg) {
				f.Line = min(n+1, lastLine(data))
			}
		}
	}
	f.Message = oneLine("not YAML: " + msg + yamlAdvice[msg])
	if m := yamlUnknown.FindStringSubmatch(msg); m != nil {
		f.Line, f.Col = find(data, "*"+m[1])
		f.Message = oneLine("alias *" + m[1] + " stands for nothing: mark a block above it with &" + m[1])
	}
	if tab := yamlTab.FindString(lineOf(data, f.Line)); tab != "" {
		f.Col = len(tab)
		f.Message = "the line is indented with a tab, which YAML does not allow: use spaces"
	}
	return f
}

// yamlAdvice says what most often makes the library say so.
var yamlAdvice = map[string]string{
	"did not find expected ',' or ']'":                      ": a list that begins here is not closed: add ], or the comma between two values",
	"did not find expected ',' or '}'":                      ": a block that begins here is not closed: add }, or the comma between two keys",
	"did not find expected key":                             ": in the block that begins here a line is not indented like the others, or has a bracket or quote too many",
	"did not find expected alphabetic or numeric character": ": a value that begins with * or & needs quotes, such as \"*.example.org\"",
	"mapping values are not allowed in this context":        ": a key above lacks its colon, or a value with a colon in it lacks quotes",
	"found unexpected end of stream":                        ": a quote that begins here is not closed",
	"found character that cannot start any token":           ": put the value in quotes",
}

// scanned reports whether the library's scanner said msg, which counts lines
// from 1. Its parser counts them from 0.
func scanned(msg string) bool {
	return !strings.HasPrefix(msg, "did not find expected ") || strings.HasPrefix(msg, "did not find expected alphabetic") ||
		strings.HasPrefix(msg, "did not find expected whitespace") || strings.HasPrefix(msg, "did not find expected digit") ||
		strings.HasPrefix(msg, "did not find expected comment")
}

// lastLine is the number of the last line that holds anything.
func lastLine(data []byte) int {
	return bytes.Count(bytes.TrimRight(data, " \t\r\n"), []byte("\n")) + 1
}

// lineOf returns line n of data, from 1.
func lineOf(data []byte, n int) string {
	for line := range bytes.Lines(data) {
		if n--; n == 0 {
			return string(line)
		}
	}
	return ""
}

// find returns line and column of the first place where data has text.
func find(data []byte, text string) (line, col int) {
	before, _, ok := bytes.Cut(data, []byte(text))
	if !ok {
		return 1, 1
	}
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}
