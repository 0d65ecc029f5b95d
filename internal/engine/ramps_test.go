package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// Each step of a return is an event; if it fails on its way that is one too.
func TestHistoryOfARamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(t.TempDir())), w)
		defer e.Close()
		pass(20 * time.Second)
		w.set("192.0.2.10", true)
		pass(15 * time.Second)
		w.set("192.0.2.10", false)
		pass(10 * time.Minute)
		want := []string{
			"move shop.example.org aws/us-east-1 gcp/europe-west1 moved",
			"ramp aws/us-east-1 shop.example.org 0 10",
			"ramp aws/us-east-1 shop.example.org 10 25",
			"ramp aws/us-east-1 shop.example.org 25 50",
			"move shop.example.org gcp/europe-west1 aws/us-east-1 policy",
		}
		same(t, e.story(journal.Moved, journal.Ramp), want)
		w.set("192.0.2.10", true)
		pass(15 * time.Second)
		w.set("192.0.2.10", false)
		pass(11 * time.Minute) // a second ejection: ten minutes
		w.set("192.0.2.10", true)
		pass(15 * time.Second)
		same(t, e.story(journal.Moved, journal.Ramp), append(want,
			"move shop.example.org aws/us-east-1 gcp/europe-west1 moved",
			"ramp aws/us-east-1 shop.example.org 0 10",
			"ramp aws/us-east-1 shop.example.org 10 25",
			"ramp aws/us-east-1 shop.example.org 25 0",
		))
	})
}

// The return of a region is few events, however many services it has.
func TestARampIsFewEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		w := &world{}
		e := begin(t, parse(t, fleet(n, t.TempDir())), w)
		defer e.Close()
		pass(20 * time.Second)
		for _, silent := range []bool{true, false} {
			for i := range n {
				w.set(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), silent)
			}
			pass(30 * time.Second)
		}
		pass(15 * time.Minute)
		services, events := map[string]int{}, 0
		var first []time.Time
		for _, ev := range e.Journal().Find(journal.Query{}) {
			if ev.Kind == journal.Ramp {
				services[ev.From+" to "+ev.To] += ev.Count
				events++
				if ev.To == "10" {
					first = append(first, ev.At)
				}
			}
		}
		if events > 20 || len(services) != 3 || services["0 to 10"] != n || services["25 to 50"] != n {
			t.Errorf("%d events tell of %v", events, services)
		}
		if len(first) < 2 || first[1].Sub(first[0]) >= rampsEvery {
			t.Errorf("steps are told at %v, which is when they were told of and not when they were made", first)
		}
	})
}

// Every move says since when there is its reason.
func TestMovesSaySince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := &world{}
		e, err := Start(Options{Config: parse(t, shop(t.TempDir())), Dial: w.dial, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		made := time.Now()
		o := drain("aws/us-east-1")
		o.Made = made
		if err := e.PutOverride(o, "test"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		lifted := time.Now()
		if err := e.DeleteOverride("aws/us-east-1", "test"); err != nil {
			t.Fatal(err)
		}
		pass(15 * time.Minute)
		e.Close()
		for _, want := range []string{
			"to=gcp/europe-west1 reason=moved why=\"aws/us-east-1 none (drained); gcp/europe-west1 ready\" gen=%d since=" + made.UTC().Format(time.RFC3339),
			"to=aws/us-east-1 reason=policy why=\"aws/us-east-1 ready; gcp/europe-west1 ready\" gen=%d since=" + lifted.UTC().Format(time.RFC3339),
		} {
			before, after, _ := strings.Cut(want, "%d")
			if _, rest, ok := strings.Cut(log.String(), before); !ok || !strings.Contains(strings.SplitN(rest, "\n", 2)[0], after) {
				t.Errorf("no line %s", want)
			}
		}
		if !strings.Contains(log.String(), "ramp: traffic returns to aws/us-east-1: 10 % of the clients") {
			t.Error("the log does not tell of the ramp")
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

// A region's verdict is a reason with an age of its own.
func TestARegionsVerdictHasAnAge(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ps := steer.PoolState{Ends: []steer.EndpointState{{Why: steer.WhyRegion}}}
	if got := held(&ps, &steer.RegionState{Down: true, Since: since}); !got.Equal(since) {
		t.Errorf("since %v", got)
	}
}
