package consul

import (
	"strings"
	"testing"
)

// TestUsageOfNothing holds that groups without services, of which a value could hold
// thousands, are nobody's word.
func TestUsageOfNothing(t *testing.T) {
	if _, err := decodeUsage([]byte(`{"boot":"b","seq":1,"as":[{}` + strings.Repeat(",{}", 80_000) + `]}`)); err == nil {
		t.Error("believed")
	}
}
