package admin

import (
	"strings"
	"testing"
	"time"
)

// A text of several lines stays below its label, and an override whose end lies in the
// past says so.
func TestLinesOfAStatus(t *testing.T) {
	now := time.Now()
	old := Override{Target: "aws/us-east-1", Do: "drain", Reason: "r", Owner: "jo", Until: time.Date(2019, 12, 31, 22, 0, 0, 0, time.Local)}
	s := &Status{At: now, Started: now, Warnings: []string{"not taken: a.yaml:1:1: x\na.yaml:2:1: y", "z"}, Overrides: []Override{old}}
	text := said(func(b *strings.Builder) error { return WriteStatus(b, s, true) })
	for _, want := range []string{
		"DEGRADED  not taken: a.yaml:1:1: x (and 1 more)\n", "\n          WARNING not taken: a.yaml:1:1: x\n          a.yaml:2:1: y\n          WARNING z\n",
		"drain aws/us-east-1 by jo, is over since 2019-12-31 22:00 and does nothing: r",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	text = said(func(b *strings.Builder) error { return WriteHands(b, &Hands{Overrides: []Override{old}}, now) })
	if !strings.Contains(text, "jo     is over since 2019-12-31 22:00 and does nothing  r") {
		t.Error(text)
	}
	text = said(func(b *strings.Builder) error {
		return (&EventWriter{To: b}).Event(&Event{At: now, Kind: "override", Text: "not taken: x\ny", Who: "file"})
	})
	if !strings.HasSuffix(text, "override  not taken: x\n                    y  (file)\n") {
		t.Error(text)
	}
}
