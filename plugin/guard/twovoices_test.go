package guard

import (
	"testing"

	"github.com/detour-dns/detour/internal/guard"
)

// TestOneObserverHasOneWord holds that records of different names never count as words on
// one, wherever a space is in them.
func TestOneObserverHasOneWord(t *testing.T) {
	find := func(block, name string) guard.Find {
		return guard.Find{Near: true, Shared: guard.Shared{By: "a", Block: block, Name: name}}
	}
	for key, finds := range byName([]guard.Find{find(".:53/a b", "api."), find(".:53/a", "b api.")}) {
		if len(finds) != 1 {
			t.Errorf("%v: one observer has %d words", key, len(finds))
		}
	}
}
