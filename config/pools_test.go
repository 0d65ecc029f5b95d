package config

import (
	"fmt"
	"strings"
	"testing"
)

// A service has as many pools as a word has bits.
func TestTooManyPools(t *testing.T) {
	var b strings.Builder
	b.WriteString("monitors: {m: {type: tcp, port: 1}}\nservices:\n  shop.example.org:\n    monitors: [m]\n    pools:\n")
	for i := range MaxPools + 1 {
		fmt.Fprintf(&b, "      - onprem/r%d: [192.0.2.%d]\n", i, i+1)
	}
	_, err := Parse("/f.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "pools has 65 entries: at most 64") {
		t.Errorf("%v", err)
	}
}
