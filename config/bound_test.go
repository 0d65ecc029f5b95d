package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestHostileFiles: small files that would become large, and large ones, are faults
// with a position, at once.
func TestHostileFiles(t *testing.T) {
	var many strings.Builder
	many.WriteString("monitors:\n")
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprint("m", i)
		fmt.Fprintf(&many, "  m%d: {type: tcp, port: 1}\n", i)
	}
	many.WriteString("services:\n  a.example: {monitors: [" + strings.Join(names, ",") + "], pools: [{aws/x: [")
	for i := range 600 {
		fmt.Fprintf(&many, "198.51.%d.%d,", i/200, i%200+1)
	}
	many.WriteString("]}]}\n")
	bomb := "a: &a [" + strings.Repeat("x,", 50) + "]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat("*"+string(c-1)+",", 50))
	}
	for name, tt := range map[string]struct{ text, says string }{
		"brackets":     {strings.Repeat("[", 10<<20), "f.yaml:1:3000001: the file holds more than 3000000 values"},
		"few brackets": {strings.Repeat("[", 20_000), "f.yaml:1:1: not YAML: "},
		"dashes":       {strings.Repeat("- ", 5<<20), "values"},
		"keys":         {"{" + strings.Repeat("a,", 4<<20) + "}", "values"},
		"lines":        {strings.Repeat("a: [1]\n", 2<<20), "f.yaml:"},
		"aliases":      {bomb, "aliases in this file expand"},
		"depth":        {"a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "inside one another"},
		"a number":     {"version: " + strings.Repeat("9", 10<<20), "f.yaml:1:10: version 9"},
		"products":     {many.String(), "make more than 1000000 checks"},
		"large":        {strings.Repeat("#", 16<<20+1), "larger than 16 MiB"},
	} {
		at := time.Now()
		_, err := Parse("f.yaml", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %.300v, want %s", name, err, tt.says)
		}
		if took := time.Since(at); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// TestRoom: a file may be compared that is a quarter larger than the one in use, and never
// less than a small one.
func TestRoom(t *testing.T) {
	c := mustParse(t, "version: 1")
	if got := c.Room(); got != (Bound{1 << 20, 1 << 16, 20_000}) {
		t.Errorf("%+v", got)
	}
	c = mustParse(t, "version: 1\n"+strings.Repeat("#", 1<<20)+strings.Repeat(",", 80_000)+"\n")
	if got := c.Room(); got.Bytes < 5<<18 || got.Bytes > 3<<19 || got.Marks < 100_000 || got.Marks > 120_000 {
		t.Errorf("%+v", got)
	}
	c.size = fileBound
	if got := c.Room(); got != fileBound {
		t.Errorf("%+v", got)
	}
}

// TestMarks: whatever YAML makes of a text, there are at most two nodes for each mark.
func TestMarks(t *testing.T) {
	for _, text := range []string{
		"a", "a: b", "{a,b}", "{:,:}", "[? a : b, c: d]", "- - - a", "-\r-\r-", "? a\n? b", "[[],{}]", "- \u0085- a", "&a [*a]", "{? ,? }", "!!str a: !!seq [,]",
	} {
		doc, fault := readDocument("f", []byte(text))
		if fault != nil {
			continue
		}
		if n := countNodes(doc.Content[0]); n > 2*countMarks([]byte(text))+2 {
			t.Errorf("%q: %d nodes, %d marks", text, n, countMarks([]byte(text)))
		}
	}
}

func countNodes(n *yaml.Node) int {
	sum := 1
	for _, c := range n.Content {
		sum += countNodes(c)
	}
	return sum
}
