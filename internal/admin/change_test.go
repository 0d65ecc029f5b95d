package admin

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// asProblem returns the problem in an error.
func asProblem(t *testing.T, err error) *Problem {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a problem", err)
	}
	return p
}

// TestDrain walks one override through its life.
func TestDrain(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	ctx := t.Context()
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	o := PutOverride{Do: "drain", Reason: "cable work", Owner: "jo"}

	dry := o
	dry.DryRun = true
	got, err := c.PutOverride(ctx, "AWS/us-east-1", dry)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"shop.example.org", "db.example.org", "*.wild.example.org"}
	if moved := moved(got); !slices.Equal(moved, want) {
		t.Errorf("would move %v, want %v", moved, want)
	}
	if !slices.Equal(got.NoBackup, []string{"db.example.org", "*.wild.example.org"}) || len(got.NoReady) != 0 {
		t.Errorf("would leave %v without a backup, %v without a ready region", got.NoBackup, got.NoReady)
	}
	if x, _ := c.Explain(ctx, "shop.example.org", "A", "", false); x.Region != "aws/us-east-1" {
		t.Fatal("a dry run changed something")
	}

	got, err = c.PutOverride(ctx, "aws/us-east-1", o)
	if err != nil {
		t.Fatal(err)
	}
	if span := got.Override.Until.Sub(got.Override.Made); span != 4*time.Hour || got.Warning != "" {
		t.Errorf("holds %v, warning %q", span, got.Warning)
	}
	st, err := c.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st.State != Degraded || st.ExitCode != 2 || st.Moved.Services != 3 || len(st.Overrides) != 2 {
		t.Errorf("status %s %d, moved %d, overrides %v", st.State, st.ExitCode, st.Moved.Services, st.Overrides)
	}
	hint := ""
	for _, r := range st.AtRisk {
		hint += r.Hint + "\n"
	}
	if !strings.Contains(hint, "aws/us-east-1 drained by jo\n") {
		t.Errorf("no hint of the drain:\n%s", hint)
	}

	if _, err := c.DeleteOverride(ctx, "aws/us-east-1"); err != nil {
		t.Fatal(err)
	}
	if p := asProblem(t, second(c.DeleteOverride(ctx, "aws/us-east-1"))); p.Status != 404 {
		t.Errorf("twice: %v", p)
	}
	for _, line := range []string{
		"did=drain target=aws/us-east-1 owner=jo reason=\"cable work\"", "did=\"undo drain\" target=aws/us-east-1", "peer=\"uid ",
	} {
		if !strings.Contains(s.log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, s.log.String())
		}
	}
}

func second[T any](_ T, err error) error { return err }

func moved(c *Changed) (out []string) {
	for _, m := range c.Moves {
		out = append(out, m.Service)
	}
	return out
}

// TestBreakGlass holds that nothing is left without a ready region unless
// somebody means it.
func TestBreakGlass(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	for _, do := range []string{"drain", "down"} {
		o := PutOverride{Do: do, Reason: "r", Owner: "o"}
		err := second(c.PutOverride(t.Context(), "solo.example.org", o))
		p := asProblem(t, err)
		if p.Status != 409 || !slices.Equal(p.Services, []string{"solo.example.org"}) || !strings.Contains(err.Error(), "solo.example.org") {
			t.Errorf("%s: got %v", do, p)
		}
		o.BreakGlass = true
		if _, err := c.PutOverride(t.Context(), "solo.example.org", o); err != nil {
			t.Errorf("%s with broken glass: %v", do, err)
		}
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if void := st.Overrides[len(st.Overrides)-1].Void; do == "drain" && !slices.Equal(void, []string{"solo.example.org"}) {
			t.Errorf("a drain of all that there is acts: %+v", st.Overrides)
		}
		if do == "down" && st.State != Panic {
			t.Errorf("state %s", st.State)
		}
		if _, err := c.DeleteOverride(t.Context(), "solo.example.org"); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(s.log.String(), "change refused") {
		t.Error("the refusal is not in the log")
	}

	// Two drains of which each alone is harmless: the later one moves what can move,
	// and lists the rest.
	o := PutOverride{Do: "drain", Reason: "r", Owner: "o"}
	if _, err := c.PutOverride(t.Context(), "db.example.org/192.0.2.20", o); err != nil {
		t.Fatal(err)
	}
	got, err := c.PutOverride(t.Context(), "gcp/europe-west1", o)
	if err != nil || !slices.Equal(got.Stays, []string{"db.example.org"}) || len(got.NoReady) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if text := said(func(b *strings.Builder) error { return WriteChanged(b, "in force", got, time.Now()) }); !strings.Contains(text, "STAYS      db.example.org: would be left with nothing") {
		t.Error(text)
	}

	// The earlier one is made longer, and keeps its age: were it the youngest now, it
	// would yield, and traffic would return to what it drains.
	o.For = "8h"
	for _, o.DryRun = range []bool{true, false} {
		if got, err = c.PutOverride(t.Context(), "db.example.org/192.0.2.20", o); err != nil || len(got.Moves)+len(got.Stays)+len(got.NoReady) > 0 {
			t.Errorf("made longer, dry run %v: %+v, %v", o.DryRun, got, err)
		}
	}
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range st.Overrides {
		if isFirst := x.Target != "gcp/europe-west1"; x.File == "" && (isFirst != (len(x.Void) == 0) || isFirst != (x.Until.Sub(x.Made) > 5*time.Hour)) {
			t.Errorf("after that: %+v", x)
		}
	}
}

// TestDryRunSaysWhatNeedsTheGlass holds that a dry run does not promise what would
// be refused.
func TestDryRunSaysWhatNeedsTheGlass(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	o := PutOverride{Do: "drain", Reason: "r", Owner: "o", DryRun: true}
	for _, o.BreakGlass = range []bool{false, true} {
		got, err := c.PutOverride(t.Context(), "solo.example.org", o)
		if err != nil || got.Glass == o.BreakGlass {
			t.Fatalf("glass broken %v: %+v, %v", o.BreakGlass, got, err)
		}
		text := said(func(b *strings.Builder) error { return WriteChanged(b, "in force", got, time.Now()) })
		if strings.Contains(text, "without --break-glass this would be refused") == o.BreakGlass {
			t.Errorf("glass broken %v: %s", o.BreakGlass, text)
		}
	}
}

func TestTargets(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	o := PutOverride{Do: "up", Reason: "r", Owner: "o", For: "1h"}
	for given, want := range map[string]string{
		"shop.example.org": "shop.example.org", "SHOP.example.org.": "shop.example.org",
		"*.wild.example.org/2001:DB8:0::40": "*.wild.example.org/2001:db8::40", "gcp/europe-west1": "gcp/europe-west1",
	} {
		got, err := c.PutOverride(t.Context(), given, o)
		if err != nil || got.Override.Target != want {
			t.Errorf("%s: got %+v, %v", given, got, err)
		}
	}
	for given, near := range map[string][]string{
		"shp.example.org": {"shop.example.org"}, "aws/us-east-2": {"aws/us-east-1"}, "europe-west1": {"gcp/europe-west1"},
		"shop.example.org/198.51.100.8": {"shop.example.org/198.51.100.7"}, "zzzzzzzzzz": nil,
	} {
		p := asProblem(t, second(c.PutOverride(t.Context(), given, o)))
		if p.Status != 404 || len(near) > 0 && (len(p.Near) == 0 || p.Near[0] != near[0]) || len(near) == 0 && p.Near != nil {
			t.Errorf("%s: got %d, near %v, want %v", given, p.Status, p.Near, near)
		}
	}
	p := asProblem(t, second(c.DeleteOverride(t.Context(), "shop.example.org/203.0.113.7")))
	if p.Status != 409 || !strings.Contains(p.Detail, "failover.yaml") {
		t.Errorf("an override of the file: got %v", p)
	}
	if _, err := c.PutOverride(t.Context(), "shop.example.org/203.0.113.7", o); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteOverride(t.Context(), "shop.example.org/203.0.113.7"); err != nil {
		t.Errorf("one beside the file's: %v", err)
	}
}

// What is shown to others in a line of a terminal can neither end it nor steer the
// terminal.
func TestControlCharacters(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	for _, evil := range []string{`\u001b]0;pwned\u0007`, `a\nb`, `a\tb`, `\u009b2K`, `a\u202eb`, `a\u2028b`} {
		for path, rest := range map[string]string{
			"PUT /v1/freeze":                  `}`,
			"PUT /v1/overrides/aws/us-east-1": `,"do":"drain"}`,
			"POST /v1/failback":               `,"target":"*"}`,
		} {
			method, path, _ := strings.Cut(path, " ")
			for _, who := range []string{`{"reason":"` + evil + `","owner":"jo"`, `{"owner":"` + evil + `","reason":"r"`} {
				if r := send(t, srv, method, path, who+rest); r.status != 422 || !strings.Contains(r.body, "a character that steers terminals") {
					t.Errorf("%s %s%s: %d %s", path, who, rest, r.status, r.body)
				}
			}
		}
	}
	if r := send(t, srv, "PUT", "/v1/freeze", `{"reason":"Störung 🛠️","owner":"山田"}`); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestFreeze(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	got, err := c.PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: "o"})
	if err != nil || time.Until(got.Freeze.Until).Round(time.Minute) != time.Hour {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := c.PutFreeze(t.Context(), PutFreeze{Target: "db.example.org", Reason: "r", Owner: "o", For: "2h"}); err != nil {
		t.Fatal(err)
	}
	s.world.refuse("192.0.2.20")
	st := eventually(t, c, "pending", func(s *Status) bool { return s.Moved.Pending == 1 })
	if st.Moved.Services != 0 || len(st.Freezes) != 2 || st.State == Healthy {
		t.Errorf("moved %d, freezes %v, %s", st.Moved.Services, st.Freezes, st.State)
	}
	for target, status := range map[string]int{"shop.example.org/198.51.100.7": 422, "nowhere": 404, "gcp/europe-west1": 404} {
		if p := asProblem(t, second(c.DeleteFreeze(t.Context(), target))); p.Status != status {
			t.Errorf("%s: got %v, want %d", target, p, status)
		}
	}
	for _, target := range []string{"", "db.example.org"} {
		if _, err := c.DeleteFreeze(t.Context(), target); err != nil {
			t.Error(err)
		}
	}
	eventually(t, c, "moved", func(s *Status) bool { return s.Moved.Services == 1 && s.Moved.Pending == 0 })

	s.world.refuse() // and back, which waits for an operator: there is one writer
	st = eventually(t, c, "waiting", func(s *Status) bool { return s.Next != nil && s.Next.Manual && s.Checks.Down == 0 })
	if st.Next.Service != "db.example.org" || st.Next.Region != "aws/us-east-1" {
		t.Errorf("next %+v", st.Next)
	}
	if r := send(t, srv, "POST", "/v1/failback", `{}`); r.status != 422 {
		t.Errorf("got %d", r.status)
	}
	eventually(t, c, "healthy again", func(st *Status) bool {
		r := send(t, srv, "POST", "/v1/failback", `{"target":"db.example.org","owner":"jo","reason":"checked"}`)
		var ch Changed
		if err := json.Unmarshal([]byte(r.body), &ch); err != nil || r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return st.Moved.Services == 0
	})
}

// Without break_glass the last ready region of a service stays, also where two take one of
// its regions each at the same time, and where a dead one is forced up before.
func TestTheLastReadyRegionStays(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	const dead, living = "db.example.org/192.0.2.20", "db.example.org/198.51.100.20"
	put := func(target, do string) bool {
		_, err := c.PutOverride(t.Context(), target, PutOverride{Do: do, Reason: "r", Owner: "o"})
		return err == nil
	}
	for range 50 {
		var both [2]bool
		var wg sync.WaitGroup
		for i, target := range []string{dead, living} {
			wg.Go(func() { both[i] = put(target, "down") })
		}
		wg.Wait()
		if both[0] == both[1] {
			t.Fatalf("of two at once were taken: %v", both)
		}
		for _, target := range []string{dead, living} {
			_, _ = c.DeleteOverride(t.Context(), target)
		}
	}
	s.world.refuse("192.0.2.20")
	eventually(t, c, "down", func(s *Status) bool { return s.Checks.Down > 0 })
	if down, up, again := put(living, "down"), put(dead, "up"), put(living, "down"); down || !up || again {
		t.Errorf("the last region that lives is taken down: %v; %v; %v", down, up, again)
	}
}
