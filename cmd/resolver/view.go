package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The keys of a watched status, those of less(1) and k9s.
const (
	keyDown, keyUp     = 'j', 'k' // arrows are taken for them
	keyPage, keyBack   = ' ', 'b'
	keyTop, keyEnd     = 'g', 'G'
	keyFilter, keyQuit = '/', 'q'
	keyCtrlC, keyCtrlD = 3, 4
	keyEnter, keyLine  = '\r', '\n'
	keyEsc             = 27
	keyDel, keyRubout  = 127, 8
)

// keysHelp is shown where not all fits.
const keysHelp = "j k scroll, / filters, q quits"

// view is which part of a page is shown.
type view struct {
	top    int    // lines above the screen; the first one, which has the sentence, stays
	filter string // rows of tables must hold it; "": all are shown
	typing bool   // the filter is being typed
	done   bool   // the watch is to end
	paint  bool   // states have colors
}

// key takes a key.
func (v *view) key(k byte, height int) {
	if v.typing {
		v.edit(k)
		return
	}
	switch k {
	case keyDown:
		v.top++
	case keyUp:
		v.top--
	case keyPage:
		v.top += height / 2
	case keyBack:
		v.top -= height / 2
	case keyTop:
		v.top = 0
	case keyEnd:
		v.top = 1 << 30 // draw knows where the end is
	case keyFilter:
		v.typing, v.filter, v.top = true, "", 0
	case keyEsc:
		v.filter = ""
	case keyQuit, keyCtrlC, keyCtrlD:
		v.done = true
	}
}

// edit takes a key of the filter.
func (v *view) edit(k byte) {
	switch {
	case k == keyCtrlC:
		v.done = true
	case k == keyEsc:
		v.typing, v.filter = false, ""
	case k == keyEnter, k == keyLine:
		v.typing = false
	case k == keyDel || k == keyRubout:
		_, n := utf8.DecodeLastRuneInString(v.filter)
		v.filter = v.filter[:len(v.filter)-n]
	case k > ' ' && k < keyDel:
		v.filter += string(rune(k))
	}
}

// draw writes as much of a text as fits, over what is there. What comes before
// the first empty line is wrapped, for every word of it counts; tables are cut.
func (v *view) draw(w io.Writer, text string, width, height int) error {
	var b strings.Builder
	b.WriteString(home)
	p := painter{on: v.paint}
	for i, line := range v.lines(text, width, height) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(p.line(cut(line, width)) + restOfLine)
	}
	b.WriteString(restOfPage)
	_, err := io.WriteString(w, b.String())
	return err
}

// lines are those that are on the screen.
func (v *view) lines(text string, width, height int) []string {
	all := layout(v.filtered(text), width)
	foot := v.foot()
	if height <= 0 || len(all) <= height && foot == "" {
		v.top = 0
		return all
	}
	room := max(height-1, 0) // above the last line
	v.top = max(0, min(v.top, len(all)-room))
	out := append([]string{}, all[:min(1, room)]...)
	if from := v.top + 1; room > 1 && from < len(all) {
		out = append(out, all[from:min(len(all), v.top+room)]...)
	}
	if left := len(all) - v.top - room; foot == "" && left > 0 {
		foot = fmt.Sprintf("... %d more lines: %s", left, keysHelp)
	} else if foot == "" {
		foot = "end: " + keysHelp
	}
	return append(out, foot)
}

// foot is the last line while a filter is in force.
func (v *view) foot() string {
	switch {
	case v.typing:
		return "/" + v.filter + "_"
	case v.filter != "":
		return "only rows with " + v.filter + ": Esc shows all"
	}
	return ""
}

// filtered is a page without the rows of its tables that do not hold the filter.
func (v *view) filtered(text string) string {
	if v.filter == "" {
		return text
	}
	var b strings.Builder
	prose, header := true, false
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			prose, header = false, true
			b.WriteString(line)
			continue
		}
		if prose || header || strings.Contains(strings.ToLower(line), strings.ToLower(v.filter)) {
			b.WriteString(line)
		}
		header = false
	}
	return b.String()
}
