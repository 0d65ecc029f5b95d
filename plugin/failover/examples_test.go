package failover

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/test/kit"
)

// TestExamplesAnswer starts every example and asks for its first service. Nothing
// of it reaches a network: icmp, which no test can redirect, is left out.
func TestExamplesAnswer(t *testing.T) {
	files, err := filepath.Glob("../../config/examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d examples: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			cfg, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			isICMP := func(c config.Canary) bool { return c.Monitor.Type == config.ICMP }
			cfg.Self.Checks = slices.DeleteFunc(cfg.Self.Checks, isICMP)
			for i := range cfg.Regions {
				cfg.Regions[i].Canaries = slices.DeleteFunc(cfg.Regions[i].Canaries, isICMP)
			}
			for i := range cfg.Monitors {
				cfg.Monitors[i].CAFile = "" // a file that only the example's machine has
			}
			cfg.State.Dir = t.TempDir()
			cfg.Probes.AllowTargets = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
				m := new(dns.Msg).SetReply(r)
				if r.Question[0].Qtype == dns.TypeA {
					m.Answer = []dns.RR{addressRR(r.Question[0].Name, netip.MustParseAddr("127.0.9.9"), 60)}
				}
				return dns.RcodeSuccess, w.WriteMsg(m)
			})
			cfg.Admin.Off = true
			e, err := engine.Start(engine.Options{Config: cfg, Lookup: lookupBelow(next), Log: slog.New(slog.DiscardHandler), Dial: silence})
			if err != nil {
				t.Fatal(err)
			}
			s := &shared{path: cfg.Path, door: newDoor(limits())}
			s.begin(e)
			t.Cleanup(s.end)
			f := &Failover{Next: next, shared: s}
			name := strings.Replace(cfg.Services[0].Name, "*.", "some.", 1)
			err = kit.Every(10*time.Millisecond, 5*time.Second, func() bool { // names are looked up in the background
				m, _ := ask(t, f, "127.0.0.1", question(name, dns.TypeA))
				return m != nil && len(addrsOf(m)) > 0
			})
			if err != nil {
				t.Errorf("%s has no address: %v", name, err)
			}
		})
	}
}
