package config

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"interval", "timeout", "type", "expect", "https", "http"}
	for word, want := range map[string]string{
		"intervall": "interval", "tiemout": "timeout", "Timeout": "timeout", "htps": "https", "typ": "type",
		"kubernetes": "", "x": "", "": "",
	} {
		if got, ok := nearest(word, words); got != want || ok != (want != "") {
			t.Errorf("nearest(%s) = %q, %v; want %q", word, got, ok, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%s, %s) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
