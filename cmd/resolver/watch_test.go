package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/detour-dns/detour/internal/admin"
)

const screen = `DEGRADED  aws/us-east-1 DOWN since 03:12:07 (4 min): 31 of 40 services have nothing Up there
moved     nothing

SERVICE          ANSWERS FROM      WHY
pay.example.org  gcp/europe-west1  moved
é.example.org    gcp/europe-west1  moved
`

// Whatever the terminal's size, the page fits, its sentence is whole, and what is
// left out is said.
func TestDrawFits(t *testing.T) {
	for width := 1; width < 120; width++ {
		for height := 1; height < 14; height++ {
			var b strings.Builder
			if err := (&view{}).draw(&b, screen, width, height); err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer(home, "", restOfLine, "", restOfPage, "").Replace(b.String())
			lines := strings.Split(text, "\r\n")
			if len(lines) > height {
				t.Errorf("%d x %d: %d lines", width, height, len(lines))
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); n > width && width >= 2 {
					t.Errorf("%d x %d: a line of %d: %q", width, height, n, line)
				}
			}
			if said := strings.Join(strings.Fields(text), " "); width > 25 && height == 13 && !strings.Contains(said, "31 of 40 services have nothing Up there") {
				t.Errorf("%d x %d: the sentence is cut: %s", width, height, said)
			}
		}
	}
}

func TestDrawSaysWhatIsLeftOut(t *testing.T) {
	var b strings.Builder
	_ = (&view{}).draw(&b, screen, 100, 3)
	if !strings.Contains(b.String(), "... 4 more lines") {
		t.Errorf("%q", b.String())
	}
}

// Without a terminal there is nothing to watch on.
func TestWatchNeedsATerminal(t *testing.T) {
	code, stdout, stderr := run("status", "--watch", "--admin", fake(t, admin.Status{}))
	if code != 1 || stdout != "" || !strings.Contains(stderr, "--watch needs a terminal") {
		t.Errorf("%d %s %s", code, stdout, stderr)
	}
}
