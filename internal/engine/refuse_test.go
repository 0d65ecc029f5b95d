package engine

import "testing"

// Whatever is told of one is told of several as well.
func TestRefusedText(t *testing.T) {
	for _, why := range refusedWhys {
		if text := refusedText[why]; text[0] == "" || text[1] == "" {
			t.Errorf("%s: %q", why, text)
		}
	}
	if text := refusedText[RefusedNoBackup]; text[0][:4] != "has " || text[1][:5] != "have " {
		t.Errorf("%q", text)
	}
}
