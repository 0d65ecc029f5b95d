package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/engine"
)

func fleetOf(change func(*Sharing)) *Sharing {
	now := time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)
	s := &Sharing{
		Contact: "agreeing", Heard: now,
		Observers: []Observer{
			{Name: "r1", Self: true, Zone: "aws/us-east-1", Decision: "a", Alike: true, Common: 40, Assigned: -1},
			{Name: "r2", Zone: "gcp/europe-west1", Decision: "a", Alike: true, Common: 40, Assigned: -1},
		},
		Stores: []Store{{Name: "consul dc1", At: now}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func TestSharingInALine(t *testing.T) {
	at := fleetOf(nil).Heard.Add(40 * time.Second)
	for want, change := range map[string]func(*Sharing){
		"2 observers fresh, agree; consul dc1 ok 40 s ago; this resolver sees what the others see": nil,
		"2 observers, 1 decide otherwise; consul dc1 ok 40 s ago; 3 checks are seen otherwise from here than is agreed": func(s *Sharing) {
			s.Observers[1].Decision, s.Apart = "b", 3
		},
		"2 observers, 1 with other checks, which have no voice; consul dc1 FAILS: refused; this resolver sees what the others see": func(s *Sharing) {
			s.Observers[1].Alike, s.Observers[1].Common, s.Stores[0].Error = false, 0, "refused"
		},
		"2 observers, 1 with some other checks, on which they have no voice; consul dc1 ok 40 s ago; this resolver sees what the others see": func(s *Sharing) {
			s.Observers[1].Alike, s.Observers[1].Common = false, 38
		},
		"2 observers, 1 in doubt of themselves; consul dc1 not read yet; this resolver sees what the others see": func(s *Sharing) {
			s.Observers[1].Braked, s.Stores[0].At = true, time.Time{}
		},
		"2 observers, TOO FEW for quorum 3: nothing is agreed; consul dc1 ok 40 s ago; this resolver sees what the others see": func(s *Sharing) {
			s.Quorum = 3
		},
		"2 observers, 1 more than share.expect says, which have no voice; consul dc1 ok 40 s ago; this resolver sees what the others see": func(s *Sharing) {
			s.Observers[1].Muted = true
		},
		"no other resolver is heard: this one decides alone (refused)": func(s *Sharing) {
			s.Contact, s.Problem = "alone", "refused"
		},
		"the others are NOT HEARD for 40 s (timeout); what was agreed stands until it changes here": func(s *Sharing) {
			s.Contact, s.Problem = "silent", "timeout"
		},
		"the others are NOT HEARD for 40 s; this resolver decides alone": func(s *Sharing) { s.Contact = "forgotten" },
	} {
		if got := fleetOf(change).line(at); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// A split is the first that status says, and names the command that ends it.
func TestASplitIsSaidFirst(t *testing.T) {
	now := time.Date(2026, 3, 1, 3, 12, 0, 0, time.UTC)
	s := newSystem(t, fleet)
	p := &page{pub: s.eng.Load(), now: now, troubles: []string{"other trouble"}, sharing: fleetOf(func(s *Sharing) {
		s.Splits = []Split{{"db.example.org", now.Add(-time.Minute), []ZoneUse{{"onprem/fra1", "aws/us-east-1"}, {"onprem/ams1", "gcp/europe-west1"}}, "resolver failback db.example.org --now"}}
	})}
	got := p.status(func(*engine.Published, []failed) []Broken { return nil })
	want := "split for 1 min: db.example.org: onprem/fra1 uses aws/us-east-1, onprem/ams1 uses gcp/europe-west1; run resolver failback db.example.org --now"
	if got.Warnings[0] != want || got.State != Degraded || got.ExitCode != 1 {
		t.Errorf("state %s, exit code %d, first warning %q", got.State, got.ExitCode, got.Warnings[0])
	}
}

func TestNoteOfAnObserver(t *testing.T) {
	for want, change := range map[string]func(*Observer){
		"":                  func(*Observer) {},
		"this one":          func(o *Observer) { o.Self = true },
		"decides otherwise": func(o *Observer) { o.Decision = "b" },
		"more than share.expect says for its zone: has no voice": func(o *Observer) { o.Muted, o.Braked = true, true },
		"brake on: has no voice":                                 func(o *Observer) { o.Braked, o.Alike = true, false },
		"other checks: has no voice":                             func(o *Observer) { o.Alike, o.Common = false, 0 },
		"other checks: has a voice on 38 of 40":                  func(o *Observer) { o.Alike, o.Common = false, 38 },
	} {
		s := fleetOf(func(s *Sharing) { change(&s.Observers[1]) })
		if got := s.Observers[1].note(&s.Observers[0]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSharingTables(t *testing.T) {
	s := fleetOf(func(s *Sharing) {
		s.Observers[1].Assigned = 13
		s.Observers[1].Decision = "b"
		s.Disputes = []Dispute{{
			Region: "aws/us-east-1", Endpoint: "192.0.2.10", Monitor: "web", Counts: "doubtful",
			Says: []Saying{{Observer: "r1", Verdict: "down"}, {Observer: "r2", Verdict: "up"}, {Observer: "r3", Verdict: "up"}},
		}}
	})
	var b strings.Builder
	s.tables(&b)
	for _, want := range []string{
		"r1        aws/us-east-1     -        all       0       a          this one",
		"r2        gcp/europe-west1  -        13 of 40  0       b          decides otherwise",
		"192.0.2.10  aws/us-east-1  web      doubtful           r2, r3  r1",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
}

// TestElsewhere holds what is said of a check that only others probe.
func TestElsewhere(t *testing.T) {
	x := engine.Elsewhere{Region: "aws/us-east-1", Endpoint: "192.0.2.10", Monitor: "web", By: []string{"r2", "r5"}}
	if got, want := elsewhere(x), "aws/us-east-1 192.0.2.10: check web is not probed from here, but by r2, r5; what these agree on counts"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if x.By = nil; !strings.Contains(elsewhere(x), "nobody who is heard now") {
		t.Error(elsewhere(x))
	}
}
