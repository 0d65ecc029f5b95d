package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

func said(write func(b *strings.Builder) error) string {
	var b strings.Builder
	_ = write(&b) // into memory
	return b.String()
}

// What would be is said by the deciding code, and changes nothing.
func TestSimulate(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	before, _ := c.Status(t.Context())
	x, err := c.Simulate(t.Context(), "azure/westeurope")
	if err != nil || x.OK() || !slices.Equal(x.Without, []string{"solo.example.org"}) || len(x.Moves) != 0 || x.Affected != 2 {
		t.Errorf("%v %+v", err, x)
	}
	x, err = c.Simulate(t.Context(), "AWS/us-east-1")
	if err != nil || !x.OK() || len(x.Moves) != 3 || x.To[0] != (Count{"gcp/europe-west1", 3}) || !slices.Contains(x.NoBackup, "db.example.org") {
		t.Errorf("%v %+v", err, x)
	}
	if text := said(func(b *strings.Builder) error { return WriteSimulation(b, x, true) }); !strings.HasPrefix(text, "OK  if aws/us-east-1 were silent, every service") ||
		!strings.Contains(text, "db.example.org      aws/us-east-1") {
		t.Error(text)
	}
	x, err = c.Simulate(t.Context(), "aws/us-east-1,gcp/europe-west1")
	if err != nil || !x.Brake || x.BrakeSecs != 60 || len(x.Without) != 2 {
		t.Errorf("%v %+v", err, x)
	}
	for down, want := range map[string]string{"": "say which regions", "aws/us-east-2": "did you mean aws/us-east-1", "aws/us-east-1,": "say which regions"} {
		if _, err := c.Simulate(t.Context(), down); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", down, err)
		}
	}
	if after, _ := c.Status(t.Context()); after.Decision != before.Decision || after.Moved.Services != 0 {
		t.Error("asking changed something")
	}
}

// A frozen service would stay where it is, and that is said.
func TestSimulateFrozen(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	if _, err := c.PutFreeze(t.Context(), PutFreeze{Target: "shop.example.org", Reason: "r", Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	x, err := c.Simulate(t.Context(), "aws/us-east-1")
	if err != nil || x.OK() || !slices.Equal(x.Frozen, []string{"shop.example.org"}) {
		t.Errorf("%v %+v", err, x)
	}
}

// A file is simulated without a resolver, names as endpoints included.
func TestSimulateAFile(t *testing.T) {
	cfg, err := config.Parse("f.yaml", []byte(strings.Replace(fleet, "[192.0.2.20]", "[lb.example.net]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := SimulateIn(cfg, "gcp/europe-west1")
	if err != nil || !x.OK() || !slices.Contains(x.NoBackup, "db.example.org") {
		t.Errorf("%v %+v", err, x)
	}
}

func TestProbe(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	for target, want := range map[string]int{"shop.example.org": 4, "aws/us-east-1": 4, "shop.example.org/192.0.2.10": 1, "self": 0} {
		p, err := c.Probe(t.Context(), target)
		if err != nil || len(p.Probes) != want || !p.OK() {
			t.Errorf("%s: %v %+v", target, err, p)
		}
	}
	s.world.refuse("192.0.2.20")
	p, err := c.Probe(t.Context(), "db.example.org")
	if err != nil || p.OK() || p.Probes[0].Cause != "refused" || p.Probes[1].Cause != "ok" || len(p.Probes[1].Steps) == 0 {
		t.Errorf("%v %+v", err, p)
	}
	text := said(func(b *strings.Builder) error { return WriteProbes(b, p) })
	if !strings.Contains(text, "192.0.2.20:443") || !strings.HasSuffix(text, "1 of 2 probes failed\n") {
		t.Error(text)
	}
	if _, err := c.Probe(t.Context(), "db.example.com"); err == nil || !strings.Contains(err.Error(), "did you mean db.example.org") {
		t.Error(err)
	}
	if !strings.Contains(s.log.String(), `did=probe target=db.example.org`) {
		t.Error("the log does not say who probed")
	}
}

// A file is compared with what runs, on the health of now.
func TestCompare(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	state := "\nstate: {dir: " + s.eng.Load().Plan.Config.State.Dir + "}\n"
	for _, tt := range []struct {
		name, yaml string
		ok         func(x *Compared) bool
		says       string
	}{
		{"the same", fleet + state, func(x *Compared) bool { return x.Same }, "nothing would change"},
		{
			"one moves", strings.Replace(fleet, "{aws/us-east-1: [192.0.2.20]}, {gcp/europe-west1: [198.51.100.20]}", "{gcp/europe-west1: [198.51.100.20]}, {aws/us-east-1: [192.0.2.20]}", 1),
			func(x *Compared) bool { return !x.Same && x.Refused == "" && len(x.Moves) <= 1 && x.New == 0 }, "checks   ",
		},
		{
			"all move", strings.NewReplacer("{aws/us-east-1: [192.0.2.10, 192.0.2.11]}, ", "", "{aws/us-east-1: [192.0.2.40]}, ", "").Replace(fleet),
			func(x *Compared) bool { return x.Refused != "" && len(x.Moves) == 2 }, "REFUSED",
		},
		{
			"one more, one less", strings.Replace(fleet, "solo.example.org", "duo.example.org", 1),
			func(x *Compared) bool {
				return slices.Equal(x.Added, []string{"duo.example.org"}) && slices.Equal(x.Removed, []string{"solo.example.org"})
			}, "would no longer be answered: solo.example.org",
		},
		{
			"one endpoint less", strings.Replace(fleet, "[192.0.2.10, 192.0.2.11]", "[192.0.2.10]", 1),
			func(x *Compared) bool {
				return len(x.Moves) == 0 && len(x.Others) == 1 && x.Others[0].Service == "shop.example.org" && slices.Equal(x.Others[0].What, []string{"addresses"})
			}, "changes  shop.example.org: other addresses",
		},
		{
			"another policy", strings.Replace(fleet, "  solo.example.org:\n", "  solo.example.org:\n    policy: weighted\n    ttl: {settled: 60s}\n", 1),
			func(x *Compared) bool { return len(x.Others) == 1 }, "changes  solo.example.org: other policy, ttl",
		},
		{"faults", "version: 1\nservces: {}\n", func(x *Compared) bool { return len(x.Faults) == 1 }, ":2:1: unknown key"},
	} {
		x, err := c.Compare(t.Context(), []byte(tt.yaml))
		if err != nil || !tt.ok(x) {
			t.Errorf("%s: %v %+v", tt.name, err, x)
			continue
		}
		if text := said(func(b *strings.Builder) error { return WriteCompared(b, x) }); !strings.Contains(text, tt.says) {
			t.Errorf("%s: %s", tt.name, text)
		}
	}
}

// Who changes what another one decided sees what that was.
func TestReplaced(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	first := PutOverride{Do: "drain", Reason: "disk", Owner: "ann", For: "1h", BreakGlass: true}
	if x, err := c.PutOverride(t.Context(), "aws/us-east-1", first); err != nil || x.Replaced != nil {
		t.Fatalf("%v %+v", err, x)
	}
	x, err := c.PutOverride(t.Context(), "aws/us-east-1", PutOverride{Do: "up", Reason: "no disk", Owner: "bob"})
	if err != nil || x.Replaced == nil || x.Replaced.Owner != "ann" {
		t.Fatalf("%v %+v", err, x)
	}
	if text := said(func(b *strings.Builder) error { return WriteChanged(b, "in force", x, time.Now()) }); !strings.Contains(text, "replaces   drain by ann until ") {
		t.Error(text)
	}
	for i, owner := range []string{"ann", "bob"} {
		x, err := c.PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: owner})
		if err != nil || (x.Thawed != nil) != (i > 0) {
			t.Fatalf("%v %+v", err, x)
		}
		if text := said(func(b *strings.Builder) error { return WriteChanged(b, "in force", x, time.Now()) }); i > 0 && !strings.Contains(text, "replaces   freeze by ann until ") {
			t.Error(text)
		}
	}
	events, err := c.Events(t.Context(), EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", *events)
	for _, want := range []string{"up of aws/us-east-1 by bob for 4h0m0s, in place of the drain by ann for ", "freeze of everything by bob for 1h0m0s, in place of that by ann for "} {
		if !strings.Contains(text, want) {
			t.Errorf("no event says %q: %s", want, text)
		}
	}
}
