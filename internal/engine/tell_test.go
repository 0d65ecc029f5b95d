package engine

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// story is the history in short: kind, target or number, from, to, why.
func (e *Engine) story(kinds ...journal.Kind) (out []string) {
	for _, ev := range e.Journal().Find(journal.Query{}) {
		for _, k := range kinds {
			if ev.Kind == k {
				out = append(out, strings.Join(strings.Fields(fmt.Sprint(ev.Kind, " ", ev.Target, " ", ev.Region, " ", strings.Join(ev.Services, "+"), " ", ev.From, " ", ev.To, " ", ev.Why, " ", ev.Who)), " "))
			}
		}
	}
	return out
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the story is\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// A failover and its return are a story of a few events, which outlive a restart.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(dir)), w)
		pass(20 * time.Second)
		w.set("192.0.2.10", true)
		pass(15 * time.Second)
		w.set("192.0.2.10", false)
		pass(10 * time.Minute)
		want := []string{
			"check aws/us-east-1 shop.example.org up down timeout",
			"move shop.example.org aws/us-east-1 gcp/europe-west1 moved",
			"check aws/us-east-1 shop.example.org down up",
			"move shop.example.org gcp/europe-west1 aws/us-east-1 policy",
		}
		same(t, e.story(journal.Check, journal.Moved), want)
		e.Close()
		e = begin(t, parse(t, shop(dir)), w)
		defer e.Close()
		same(t, e.story(journal.Check, journal.Moved), want)
		same(t, e.story(journal.Started, journal.Stopped), []string{"start", "stop", "start"})
	})
}

// What operators do is in the history, with who it was, and so is what ends by
// itself.
func TestHistoryOfHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := begin(t, parse(t, shop(t.TempDir())), &world{})
		defer e.Close()
		pass(20 * time.Second)
		if err := e.PutOverride(drain("aws/us-east-1"), "uid 1000"); err != nil {
			t.Fatal(err)
		}
		pass(31 * time.Minute) // of an hour
		same(t, e.story(journal.Override, journal.Moved), []string{
			"override aws/us-east-1 uid 1000",
			"move shop.example.org aws/us-east-1 gcp/europe-west1 moved",
			"override aws/us-east-1", // ends soon
		})
		pass(30 * time.Minute)
		if got := e.story(journal.Override); len(got) != 3 {
			t.Errorf("its end is not told, or twice: %v", got)
		}
		if err := e.PutFreeze(steer.Freeze{Target: "shop.example.org.", Until: time.Now().Add(time.Hour), Owner: "jo", Reason: "test"}, "token ops"); err != nil {
			t.Fatal(err)
		}
		if err := e.DeleteFreeze("shop.example.org.", "token ops"); err != nil {
			t.Fatal(err)
		}
		same(t, e.story(journal.Freeze), []string{"freeze shop.example.org token ops", "freeze shop.example.org token ops"})
	})
}

// A move that is wanted and not made is told once, and counted.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e := begin(t, parse(t, shop(t.TempDir())), w)
		defer e.Close()
		pass(20 * time.Second)
		if err := e.PutFreeze(steer.Freeze{Until: time.Now().Add(time.Hour), Owner: "jo", Reason: "test"}, "test"); err != nil {
			t.Fatal(err)
		}
		w.set("192.0.2.10", true)
		pass(time.Minute)
		same(t, e.story(journal.Refused), []string{"refused shop.example.org frozen"})
		if n := e.Tally().Refused[RefusedFrozen]; n != 1 {
			t.Errorf("counted %d times", n)
		}
		if err := e.DeleteFreeze("", "test"); err != nil {
			t.Fatal(err)
		}
		w.set("198.51.100.10", true)
		pass(time.Minute)
		same(t, e.story(journal.Refused), []string{"refused shop.example.org frozen", "refused shop.example.org no_backup"})
		if n := e.Tally().Refused[RefusedNoBackup]; n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// fleet has n services in two regions, each with its own addresses.
func fleet(n int, dir string) string {
	var b strings.Builder
	b.WriteString("state: {dir: " + dir + "}\nmonitors: {sql: {type: tcp, port: 5432}}\nadmin: {listen: \"off\"}\nself: {checks: [\"tcp://203.0.113.1:53\"]}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d.example.org: {monitors: [sql], pools: [{aws/us-east-1: [10.1.%d.%d]}, {gcp/europe-west1: [10.2.%d.%d]}]}\n", i, i/250, i%250+1, i/250, i%250+1)
	}
	return b.String()
}

// A region that fails is a few events, however many services it has, so that the
// ring keeps what was before.
func TestARegionIsFewEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		w := &world{}
		e := begin(t, parse(t, fleet(n, t.TempDir())), w)
		defer e.Close()
		pass(20 * time.Second)
		for i := range n {
			w.set(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), true)
		}
		pass(30 * time.Second)
		moved, events := 0, e.Journal().Find(journal.Query{})
		for _, ev := range events {
			if ev.Kind == journal.Moved {
				moved += ev.Count
			}
		}
		if moved != n || len(events) > n {
			t.Errorf("%d events tell of %d moves, want %d moves", len(events), moved, n)
		}
		if got := e.Journal().Find(journal.Query{Target: "s7.example.org"}); len(got) < 2 {
			t.Errorf("of one service: %v", got)
		}
		sum := uint64(0)
		for _, c := range e.Tally().Moves {
			sum += c
		}
		if sum != n {
			t.Errorf("counted %d moves", sum)
		}
	})
}

// The brake is told when it goes on and off, with what it holds back.
func TestHistoryOfTheBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		yaml := strings.Replace(fleet(4, t.TempDir()), "self: {checks: [\"tcp://203.0.113.1:53\"]}\n", "", 1)
		e := begin(t, parse(t, yaml), w)
		defer e.Close()
		pass(20 * time.Second)
		for i := range 4 {
			w.set(fmt.Sprintf("10.1.0.%d", i+1), true)
			w.set(fmt.Sprintf("10.2.0.%d", i+1), true)
		}
		pass(2 * time.Minute)
		same(t, e.story(journal.Brake), []string{"brake on", "brake off"})
		if n := e.Tally().Refused[RefusedBrake]; n != 8 {
			t.Errorf("%d checks were held back, want 8", n)
		}
		if got := e.story(journal.Refused); len(got) == 0 || got[0] != "refused brake" {
			t.Errorf("refusals: %v", got)
		}
	})
}
