//go:build unix

package server

import (
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// TestNoDescriptorsForTheCorefile: a Corefile that this process cannot open for want of
// descriptors is not refused.
func TestNoDescriptorsForTheCorefile(t *testing.T) {
	s := start(t, Options{Corefile: write(t, says(freePort(t), "one", ""))})
	var err error
	kit.WithoutDescriptors(t, func() { err = s.reloadIfChanged() })
	if err != nil || s.rejected != nil {
		t.Errorf("refused: %v, %+v", err, s.rejected)
	}
}
