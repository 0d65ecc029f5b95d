package admin

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/incident"
	"github.com/detour-dns/detour/internal/journal"
)

func TestEvents(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	if _, err := c.PutOverride(t.Context(), "gcp/europe-west1", PutOverride{Do: "drain", Reason: "r", Owner: "jo", BreakGlass: true}); err != nil {
		t.Fatal(err)
	}
	all, err := c.Events(t.Context(), EventFilter{Since: "1h"})
	if err != nil || len(all.Events) < 2 || all.Last != all.Events[len(all.Events)-1].ID {
		t.Fatalf("%v, %+v", err, all)
	}
	some, err := c.Events(t.Context(), EventFilter{Target: "GCP/europe-west1"})
	if err != nil || len(some.Events) == 0 || some.Events[0].Kind != journal.Override || some.Events[0].Who != uidText(os.Getuid()) {
		t.Errorf("%v, %+v", err, some)
	}
	for target, warning := range map[string]string{
		"shop.example.com": "there is no region, service or endpoint \"shop.example.com\": did you mean shop.example.org?",
		"solo.example.org": "", "203.0.113.30": "", "solo.example.org/203.0.113.30": "",
	} {
		if got, err := c.Events(t.Context(), EventFilter{Since: "0s", Target: target}); err != nil || len(got.Events) != 0 || got.Warning != warning {
			t.Errorf("%s: %v, %+v", target, err, got)
		}
	}
	last := strconv.FormatUint(all.Last, 10)
	for path, want := range map[string]string{
		"/v1/events?after=" + last: `"events":[]`, "/v1/events?limit=1": last,
		"/v1/events?since=soon": "neither how long ago", "/v1/events?since=-1h": "neither how long ago",
		"/v1/events?kind=override&limit=1": `"kind":"override"`, "/v1/events?kind=brake,%20ramp": `"events":[]`, "/v1/events?kind=moves": "unknown kind \\\"moves\\\": use one of start, stop",
		"/v1/events?after=x": "not the ID", "/v1/events?limit=0": "not a number above 0",
	} {
		if r := send(t, srv, "GET", path, ""); !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s, want %q", path, r.status, r.body, want)
		}
	}
	if r := send(t, srv, "HEAD", "/v1/events", "", header("Accept", "text/event-stream")); r.status != http.StatusOK {
		t.Errorf("HEAD: %d", r.status)
	}
}

var errEnough = errors.New("enough")

// Who follows sees what happened, then what happens, each once, in order, also
// over a connection that ends.
func TestFollow(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	var seen []uint64
	freezes := 0
	change := func() {
		if _, err := c.PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: "o"}); err != nil {
			t.Error(err)
		}
	}
	err := c.Follow(t.Context(), EventFilter{Since: "1h"}, func(e *Event) error {
		seen = append(seen, e.ID)
		switch e.Kind { //nolint:exhaustive // the others pass
		case journal.Started:
			change()
		case journal.Freeze:
			if freezes++; freezes == 3 {
				return errEnough
			}
			change()
		}
		return nil
	}, nil)
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] <= seen[i-1] {
			t.Errorf("event %d after %d", seen[i], seen[i-1])
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	after := seen[len(seen)-2]
	err = c.stream(ctx, EventFilter{}, &after, func(e *Event) error {
		if e.ID != seen[len(seen)-1] {
			t.Errorf("goes on with %d, want %d", e.ID, seen[len(seen)-1])
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

// Followers are few, and do not keep the server from its end.
func TestFollowersAreFew(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, maxFollowers)
	ready := make(chan struct{}, maxFollowers)
	for range maxFollowers {
		after := uint64(0)
		go func() {
			ended <- c.stream(ctx, EventFilter{Since: "1h"}, &after, func(*Event) error { ready <- struct{}{}; return nil })
		}()
		<-ready
	}
	if r := send(t, srv, "GET", "/v1/events", "", header("Accept", "text/event-stream")); r.status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d %s", r.status, r.body)
	}
	if r := send(t, srv, "GET", "/v1/status", ""); r.status != http.StatusOK {
		t.Errorf("status: %d", r.status)
	}
	began := time.Now()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > closeTimeout {
		t.Errorf("the end took %v", took)
	}
	for range maxFollowers {
		if err := <-ended; err == nil {
			t.Error("a stream ended without saying so")
		}
	}
}

// A region of twelve services that fails and comes back is told in at most five lines,
// the region first; the same events are there one by one.
func TestAnIncidentIsFiveLines(t *testing.T) {
	var file strings.Builder
	file.WriteString("version: 1\nmonitors:\n  web: {type: tcp, port: 443, interval: 100ms, timeout: 100ms, confirm: 100ms, fall: 1, rise: 1}\nservices:\n")
	var in []string
	for i := range 12 {
		addr := "192.0.2." + strconv.Itoa(i+1)
		in = append(in, addr)
		file.WriteString("  s" + strconv.Itoa(i) + ".example.org: {monitors: [web], pools: [{aws/us-east-1: [" + addr + "]}, {gcp/europe-west1: [198.51.100." + strconv.Itoa(i+1) + "]}]}\n")
	}
	file.WriteString("defaults: {hold_down: {step: 100ms}, failback: {after: 1s, step: 1s}}\n")
	s := newSystem(t, file.String())
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	var acts []Act
	told := func(until func(*Incident) bool) (string, *Incident) {
		t.Helper()
		var text string
		var found *Incident
		eventually(t, c, "one incident", func(*Status) bool {
			list, err := c.Incidents(t.Context(), EventFilter{Target: "aws/us-east-1"})
			if err != nil || len(list.Incidents) != 1 || !until(&list.Incidents[0]) {
				return false
			}
			found, acts = &list.Incidents[0], list.Acts
			text = said(func(b *strings.Builder) error { return (&EventWriter{To: b}).Incident(found, time.Now()) })
			return true
		})
		return text, found
	}
	s.world.refuse(in...)
	text, x := told(func(x *Incident) bool { return len(x.Down) == 12 && len(x.Away) == 12 })
	if lines := strings.Count(text, "\n") - 1; lines > 5 || !strings.Contains(text, "  incident  aws/us-east-1 fails: 12 endpoints of 12 services (refused); ongoing, ") || !strings.Contains(text, "  moved      12 services to gcp/europe-west1\n") {
		t.Errorf("%d lines of %+v\n%s", lines, x, text)
	}
	if lines := said(func(b *strings.Builder) error { return (&EventWriter{To: b}).Acts(acts, time.Now()) }); !strings.Contains(lines, "  do        ") || !strings.Contains(lines, "aws/us-east-1") {
		t.Errorf("nothing to do about a region that fails: %q", lines)
	}
	s.world.refuse()
	text, x = told(func(x *Incident) bool { return x.Over })
	if len(acts) > 0 {
		t.Errorf("when it is over: %+v", acts)
	}
	if lines := strings.Count(text, "\n") - 1; lines > 5 || !strings.Contains(text, "; over after ") || !strings.Contains(text, "  back       12 services to aws/us-east-1\n") {
		t.Errorf("%d lines of %+v\n%s", lines, x, text)
	}
	flat, err := c.Events(t.Context(), EventFilter{Target: "aws/us-east-1"})
	if err != nil || len(flat.Events) != x.Count {
		t.Errorf("%v: %d events by themselves, %d in the incident", err, len(flat.Events), x.Count)
	}
	for path, want := range map[string]string{
		"/v1/incidents?limit=1": x.Text, "/v1/incidents?since=0s": `"incidents":[]`, "/v1/incidents?target=nowhere": "there is no region", "/v1/incidents?kind=move": "there is no query key",
	} {
		if r := send(t, srv, "GET", path, ""); !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s, want %q", path, r.status, r.body, want)
		}
	}
}

// A history is grouped anew when something happened, but for a tenth of the time at most.
func TestGroupingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes but where it is said
		var g grouped
		j, calls := journal.New(), 0
		now := func() incident.Now { calls++; return incident.Now{} }
		happens := func(want, wantCalls int) {
			t.Helper()
			if got := len(g.of(j, now, time.Now())); got != want || calls != wantCalls {
				t.Errorf("%d of %d events, grouped %d times, want %d", got, want, calls, wantCalls)
			}
		}
		happens(0, 1)
		j.Add(Event{At: time.Now(), Kind: journal.Override, Text: "x"})
		happens(1, 2)
		happens(1, 2)
		g.cost = time.Hour
		j.Add(Event{At: time.Now(), Kind: journal.Override, Text: "y"})
		happens(1, 2)
		g.at = time.Now().Add(-costRest * time.Hour)
		happens(2, 3)
	})
}
