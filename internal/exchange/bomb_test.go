package exchange

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/share"
)

// TestDecodeRefusesBombs holds that a value of many small parts, which would take a
// multiple of its size in memory, is nobody's word; and that the largest honest one is.
func TestDecodeRefusesBombs(t *testing.T) {
	record := func(value string) *share.Record {
		return &share.Record{Kind: share.Kept, Target: Target(".:53/", "n.example."), Value: []byte(value)}
	}
	for members, want := range map[int]bool{1: true, guard.MaxMembers: true, 1000: false, 5350: false} {
		m := guard.Member{IP: netip.MustParseAddr("2001:db8::1"), First: 1, Last: 2, Own: 3, Proved: 4, Was: guard.Proven, Proof: guard.Proven, Times: 3, Expired: true, Lent: true, Told: true}
		k := guard.Kept{Members: slices.Repeat([]guard.Member{m}, members), Chain: slices.Repeat([]string{"a.example."}, guard.MaxChain), Links: slices.Repeat([]guard.Link{{First: 1, Times: 2}}, guard.MaxChain)}
		value, err := json.Marshal(guard.Shared{Block: ".:53/", Name: "n.example.", Known: guard.Name{V4: k, V6: k}})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := decode(record(string(value))); ok != want {
			t.Errorf("%d members of each family: %v, want %v", members, ok, want)
		}
	}
	for _, value := range []string{
		`{"block":".:53/","name":"n.example.","known":{"v4":{"members":[{}` + strings.Repeat(",{}", 5000) + `]}}}`,
		`{"block":".:53/","name":"n.example.","known":{"v4":{"chain":[""` + strings.Repeat(`,""`, 5000) + `]}}}`,
	} {
		if _, ok := decode(record(value)); ok {
			t.Errorf("believed: %.60s", value)
		}
	}
}
