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
		}
	}
	f.Message = oneLine("not YAML: " + msg)
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
