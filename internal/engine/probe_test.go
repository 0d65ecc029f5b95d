package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
)

// TestSilenceByHand holds that what is probed by hand and says nothing is silent, and
// no fault of ours: whatever the monitor's timeout, the round's, and how many checks
// wait for their turn. What could not be heard out is not run, and counted.
func TestSilenceByHand(t *testing.T) {
	deaf := func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, c := range []struct {
		timeout string
		checks  int
		left    bool
	}{{"2s", 1, false}, {"20s", 1, false}, {"20s", 64, true}, {"10m", 1, false}, {"2s", 160, false}, {"3s", 200, true}} {
		synctest.Test(t, func(t *testing.T) {
			var ips []string
			for i := range c.checks {
				ips = append(ips, fmt.Sprintf("192.0.2.%d", i+1))
			}
			cfg, err := config.Parse("f.yaml", fmt.Appendf(nil, `
version: 1

regions: {aws/us-east-1: {networks: [192.0.2.0/24]}}
monitors: {web: {type: tcp, port: 443, interval: 1h, timeout: %s}}
services:
  shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [%s]}]}
`, c.timeout, strings.Join(ips, ", ")))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			list, left, _ := probeIn(ctx, plan.Make(cfg, source.Found{}), "shop.example.org.", deaf)
			if left > 0 != c.left || left+len(list) != c.checks {
				t.Errorf("%+v: %d run, %d left", c, len(list), left)
			}
			for i := range list {
				if r := list[i].Result; r.Cause != health.CauseTimeout {
					t.Fatalf("%+v: cause %s (%s)", c, r.Cause, r.Detail)
				}
			}
		})
	}
}
