package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{
		"secret\n": "secret", "  secret ": "secret", "": "!", "\n": "!", "two words": "!", "caf\xc3\xa9": "!",
		strings.Repeat("x", maxToken): strings.Repeat("x", maxToken), strings.Repeat("x", maxToken+1): "!",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToken(path)
		if want == "!" && (err == nil || got != "") || want != "!" && (err != nil || got != want) {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
	}
	if got, err := ReadToken(""); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
	if _, err := ReadToken("/does/not/exist"); err == nil || !strings.Contains(err.Error(), "token_file: open /does/not/exist") {
		t.Errorf("%v", err)
	}
}
