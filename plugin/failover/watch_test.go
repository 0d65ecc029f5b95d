//go:build unix

package failover

import (
	"strings"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// TestNoDescriptorsForTheFile: a file that this process cannot open for want of
// descriptors is not refused; it is said what is wanting.
func TestNoDescriptorsForTheFile(t *testing.T) {
	f := handler(t, `services: {a.example.org: {monitors: [web], pools: [{aws/x: [192.0.2.1]}]}}`, nil)
	var said string
	kit.WithoutDescriptors(t, func() { said = f.shared.look("") })
	if said != "" || !f.shared.engine().LastReload().OK {
		t.Errorf("refused: %q, %+v", said, f.shared.engine().LastReload())
	}
	if got := f.shared.engine().Summary().Lacks; len(got) != 1 || !strings.Contains(got[0], "no file descriptor left") {
		t.Errorf("lacks %q", got)
	}
	if f.shared.look(""); len(f.shared.engine().Summary().Lacks) != 0 {
		t.Error("still lacks")
	}
}
