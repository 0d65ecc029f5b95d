package server

import (
	"testing"

	"github.com/detour-dns/detour/internal/startup"
)

// atStart is how many metrics waited when the test binary's packages were
// initialized, before any test.
var atStart = startup.Waiting()

// TestTheStartPutsMetricsOff: package startup must be initialized before the plugins,
// or `status` and `explain` wait for metrics that nobody will scrape. The order
// follows from import paths and may change with any dependency.
func TestTheStartPutsMetricsOff(t *testing.T) {
	const some = 60 // of 66; a plugin that comes earlier costs those of its own
	if atStart < some {
		t.Errorf("%d metrics waited for the server, want at least %d: some plugin is initialized before internal/startup", atStart, some)
	}
	check(input("Corefile", []byte(". {\n whoami\n}\n")))
	if n := startup.Waiting(); n != 0 {
		t.Errorf("%d metrics still wait after a check", n)
	}
}
