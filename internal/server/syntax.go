package server

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
)

// maxImportFaults bounds how many imports that fail are looked for.
const maxImportFaults = 50

// parse returns the server blocks of a Corefile and the faults of its syntax.
// Caddy stops at the first; we take out an import that fails and parse again.
// What follows a fault of structure, such as a missing brace, is not looked at:
// it would only be misread.
func parse(in caddy.Input) ([]caddyfile.ServerBlock, Faults) {
	var faults Faults
	lines := bytes.Split(slices.Clone(in.Body()), []byte("\n"))
	for range maxImportFaults {
		blocks, err := caddyfile.Parse(in.Path(), bytes.NewReader(bytes.Join(lines, []byte("\n"))), nil)
		if err == nil {
			return blocks, faults
		}
		f := syntaxFault(in.Path(), in.Body(), err)
		faults = append(faults, f)
		if f.File != in.Path() || f.Line < 1 || f.Line > len(lines) || !isImport(lines[f.Line-1]) {
			return blocks, faults
		}
		lines[f.Line-1] = nil
	}
	return nil, faults
}

func isImport(line []byte) bool {
	return strings.HasPrefix(strings.TrimSpace(string(line)), "import")
}

func syntaxFault(path string, body []byte, err error) Fault {
	text := oneLine(err.Error())
	f := Fault{File: path, Message: text}
	if m := position.FindStringSubmatch(text); m != nil {
		f.File, f.Message = m[2], text[len(m[0]):]
		f.Line, _ = strconv.Atoi(m[3])
	}
	if strings.HasPrefix(f.Message, "Unexpected EOF") || strings.HasSuffix(f.Message, "expecting '}'") {
		f.Message = "the file ends inside a block: a closing } is missing here or above"
		if bytes.Count(body, []byte(`"`))%2 == 1 {
			f.Message += ", or a closing quote"
		}
	}
	if strings.HasPrefix(f.Message, "Unexpected '}'") {
		f.Message = "a } closes nothing here: after a { and before a } a new line begins"
	}
	return f
}

// unknown takes out of each block the directives that do not exist, and says
// which may have been meant.
func unknown(path string, blocks []caddyfile.ServerBlock) Faults {
	var faults Faults
	for _, b := range blocks {
		for name, tokens := range b.Tokens {
			if slices.Contains(directives, name) {
				continue
			}
			for _, use := range uses(name, tokens) {
				f := place(path, use)
				f.Message = unknownMessage(name)
				faults = append(faults, f)
			}
			delete(b.Tokens, name)
		}
	}
	return faults
}

func unknownMessage(name string) string {
	if slices.Contains(stockDirectives, name) {
		return fmt.Sprintf("%s is a plugin of CoreDNS that Detour leaves out: remove the line, or compile plugin/failover into a CoreDNS of your own", name)
	}
	if s := suggest(name); s != "" {
		return fmt.Sprintf("unknown directive %q: did you mean %s?", name, s)
	}
	return fmt.Sprintf("unknown directive %q: `resolver check --help` lists those there are", name)
}

// uses splits the tokens that a block holds for one directive into its uses:
// each begins with the name, at the start of a line and outside of braces.
func uses(name string, tokens []caddyfile.Token) [][]caddyfile.Token {
	var out [][]caddyfile.Token
	depth, start := 0, 0
	for i, t := range tokens {
		if i > start && depth == 0 && t.Text == name && newLine(tokens[i-1], t) {
			out = append(out, tokens[start:i])
			start = i
		}
		switch t.Text {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
	return append(out, tokens[start:])
}

// arguments returns what stands behind a directive's name on its line.
func arguments(use []caddyfile.Token) (args []string) {
	for _, t := range use[min(1, len(use)):] {
		if t.Line != use[0].Line || t.Text == "{" {
			break
		}
		args = append(args, t.Text)
	}
	return args
}

func newLine(before, t caddyfile.Token) bool {
	return before.File != t.File || before.Line+strings.Count(before.Text, "\n") < t.Line
}

// place is where tokens begin.
func place(path string, tokens []caddyfile.Token) Fault {
	f := Fault{File: path}
	if len(tokens) == 0 {
		return f
	}
	if tokens[0].File != "" {
		f.File = tokens[0].File
	}
	f.Line = tokens[0].Line
	return f
}
