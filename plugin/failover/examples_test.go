package failover

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
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
			next := say(dns.RcodeNameError)
			e, err := engine.Start(engine.Options{Config: cfg, Lookup: lookupBelow(next), Log: slog.New(slog.DiscardHandler), Dial: silence})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Admin.Off = true
			s := &shared{path: cfg.Path}
			s.begin(e, cfg)
			t.Cleanup(s.end)
			f := &Failover{Next: next, shared: s}
			name := strings.Replace(cfg.Services[0].Name, "*.", "some.", 1)
			m, _ := ask(t, f, "127.0.0.1", question(name, dns.TypeA))
			if m == nil || len(addrsOf(m)) == 0 {
				t.Errorf("%s = %v", name, m)
			}
		})
	}
}
