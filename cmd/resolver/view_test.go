package main

import (
	"fmt"
	"strings"
	"testing"
)

// long is a page of many rows.
func long() string {
	var b strings.Builder
	b.WriteString("HEALTHY  all is well\nmoved     nothing\n\nSERVICE  STATE  SINCE\n")
	for i := range 50 {
		fmt.Fprintf(&b, "s%02d      ok     -\n", i)
	}
	return b.String()
}

// Keys scroll within the page, whose sentence stays; a filter leaves rows, and Esc ends it.
func TestKeys(t *testing.T) {
	v := &view{}
	on := func(keys string) []string {
		for _, k := range []byte(keys) {
			v.key(k, 10)
			v.lines(long(), 80, 10)
		}
		return v.lines(long(), 80, 10)
	}
	for _, c := range []struct{ keys, second, last string }{
		{"", "moved     nothing", "... 45 more lines: j k scroll, / filters, q quits"},
		{"j", "", "... 44 more lines: j k scroll, / filters, q quits"},
		{"kkk", "moved     nothing", "... 45 more lines: j k scroll, / filters, q quits"},
		{" ", "s02      ok     -", "... 40 more lines: j k scroll, / filters, q quits"},
		{"b", "moved     nothing", "... 45 more lines: j k scroll, / filters, q quits"},
		{"G", "s42      ok     -", "end: j k scroll, / filters, q quits"},
		{"jjj", "s42      ok     -", "end: j k scroll, / filters, q quits"},
		{"g", "moved     nothing", "... 45 more lines: j k scroll, / filters, q quits"},
		{"/S3", "moved     nothing", "/S3_"},
		{"\x7f4q", "moved     nothing", "/S4q_"},
		{"\x08\r", "moved     nothing", "only rows with S4: Esc shows all"},
		{"\x1b", "moved     nothing", "... 45 more lines: j k scroll, / filters, q quits"},
	} {
		got := on(c.keys)
		if len(got) > 10 || got[0] != "HEALTHY  all is well" || got[1] != c.second || got[len(got)-1] != c.last {
			t.Errorf("%q: %q", c.keys, got)
		}
	}
	on("/s4\r")
	if rows := strings.Count(v.filtered(long()), "\ns"); rows != 10 || !strings.Contains(v.filtered(long()), "SERVICE") {
		t.Errorf("%d rows of 10: %s", rows, v.filtered(long()))
	}
	for _, quit := range []string{"q", "\x03", "\x04", "/x\x03"} {
		v = &view{}
		if on(quit); !v.done {
			t.Errorf("%q does not end it", quit)
		}
	}
	if got := arrows([]byte("\x1b[Aa\x1b[B\x1bOA\x1b[C\x1b")); string(got) != "kajk\x1b" {
		t.Errorf("%q", got)
	}
}

// Colors stand on words of states only, and take nothing away.
func TestColors(t *testing.T) {
	p := painter{on: true}
	var lines []string
	page := "DEGRADED  x DOWN\nmoved     up\n\nREGION  STATE    SINCE\na       failing  up\nb       up       -\n\nSERVICE  STATE  FROM\nmoved    ok     up\né        NO BACKUP, frozen  x\nz        odd    x"
	for line := range strings.SplitSeq(page, "\n") {
		lines = append(lines, p.line(line))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		yellow + "DEGRADED" + plainAgain + "  x DOWN\nmoved     up\n", "a       " + yellow + "failing" + plainAgain + "  up\n", "b       " + green + "up" + plainAgain + "       -\n",
		"moved    " + green + "ok" + plainAgain + "     up\n", "é        " + red + "NO BACKUP" + plainAgain + ", frozen  x\n", "z        odd    x",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
	if plain := strings.NewReplacer(red, "", yellow, "", green, "", plainAgain, "").Replace(text); plain != page {
		t.Errorf("%q", plain)
	}
}
