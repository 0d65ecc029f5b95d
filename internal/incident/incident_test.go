package incident

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

const (
	aws = "aws/us-east-1"
	gcp = "gcp/europe-west1"
)

// story is a history in the making.
type story struct{ events []journal.Event }

func (s *story) add(after time.Duration, e journal.Event) {
	e.At, e.ID = t0.Add(after), uint64(len(s.events)+1)
	s.events = append(s.events, e)
}

func (s *story) check(after time.Duration, region, to, why, service string, ends ...string) {
	s.add(after, journal.Event{Kind: journal.Check, Region: region, To: to, Why: why, Services: []string{service}, Endpoints: ends})
}

func (s *story) move(after time.Duration, from, to, why string, services ...string) {
	s.add(after, journal.Event{Kind: journal.Moved, From: from, To: to, Why: why, Services: services})
}

// said sums up incidents: how many events each has, what failed, and what lasts.
func said(events []journal.Event, now Now) (out []string) {
	for _, x := range Group(events, now) {
		if x.Single() {
			out = append(out, string(x.Events[0].Kind))
			continue
		}
		out = append(out, fmt.Sprintf("%d of %s [%s] %d ends %v moved %d %v back %d at %d up %d refused %d, down %v away %v", len(x.Events), strings.Join(x.Regions, "+"), strings.Join(x.Services, " "), len(x.Endpoints), x.Causes,
			len(x.Moved.Names), x.Moved.To, len(x.Back.Names), x.Back.Share, len(x.Up.Names), len(x.Refused), x.Down, x.Away))
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// region is one that fails with all of twelve services, each at its own instant.
func region() *story {
	s := &story{}
	s.add(-time.Hour, journal.Event{Kind: journal.Started})
	for i := range 12 {
		name := fmt.Sprintf("s%02d", i)
		s.check(time.Duration(i)*300*time.Millisecond, aws, "down", "timeout", name, fmt.Sprint("192.0.2.", i))
		s.move(time.Duration(i)*300*time.Millisecond, aws, gcp, "moved", name)
	}
	return s
}

// A region that fails is one incident, until all is up and back.
func TestARegionIsOneIncident(t *testing.T) {
	s := region()
	s.add(4*time.Second, journal.Event{Kind: journal.Region, Region: aws, To: "down"})
	s.add(5*time.Second, journal.Event{Kind: journal.Override, Target: gcp})
	s.add(6*time.Second, journal.Event{Kind: journal.Refused, Services: []string{"s03"}, Why: "frozen"})
	s.add(6*time.Second, journal.Event{Kind: journal.Brake, To: "on"})
	for i := range 12 {
		s.check(time.Minute, aws, "up", "", fmt.Sprintf("s%02d", i), fmt.Sprint("192.0.2.", i))
	}
	x := Group(s.events, Now{})[1]
	if x.Over() || len(x.Away) != 12 || len(x.Down) != 0 || !slices.Equal(x.Judged, []string{aws}) || !x.At().Equal(t0) {
		t.Errorf("%+v", x)
	}
	for step, percent := range []string{"10", "50"} {
		s.add(time.Duration(6+step)*time.Minute, journal.Event{Kind: journal.Ramp, Region: aws, To: percent, Services: []string{"s00", "s01"}})
	}
	ramping := said(s.events, Now{})
	s.move(8*time.Minute, gcp, aws, "policy", "s00", "s01")
	expect(t, []string{ramping[1], said(s.events, Now{})[1]},
		"41 of aws/us-east-1 [s00 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11] 12 ends map[timeout:12] moved 12 map[gcp/europe-west1:12] back 2 at 50 up 12 refused 2, down [] away [s00 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11]",
		"42 of aws/us-east-1 [s00 s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11] 12 ends map[timeout:12] moved 12 map[gcp/europe-west1:12] back 2 at 0 up 12 refused 2, down [] away [s02 s03 s04 s05 s06 s07 s08 s09 s10 s11]")
	if got := said(s.events, Now{}); len(got) != 3 || got[0] != "start" || got[2] != "override" {
		t.Errorf("%q", got)
	}
}

// What fails everywhere is one incident of a service; what fails later, or shares nothing,
// is another one.
func TestWhatBelongsTogether(t *testing.T) {
	s := &story{}
	s.check(0, aws, "down", "status", "pay", "192.0.2.1")
	s.check(time.Second, gcp, "down", "status", "pay", "198.51.100.1")
	s.check(2*time.Second, "azure/westeurope", "down", "timeout", "shop", "203.0.113.1")
	s.check(10*time.Minute, aws, "down", "timeout", "img", "192.0.2.2")
	s.check(11*time.Minute, aws, "down", "timeout", "pay", "192.0.2.1") // again: it never was up
	s.check(20*time.Minute, gcp, "up", "", "pay", "198.51.100.1")
	expect(t, said(s.events, Now{}),
		"3 of aws/us-east-1+gcp/europe-west1 [pay] 2 ends map[status:2] moved 0 map[] back 0 at 0 up 1 refused 0, down [192.0.2.1] away []",
		"1 of azure/westeurope [shop] 1 ends map[timeout:1] moved 0 map[] back 0 at 0 up 0 refused 0, down [203.0.113.1] away []",
		"2 of aws/us-east-1 [img pay] 2 ends map[timeout:2] moved 0 map[] back 0 at 0 up 0 refused 0, down [192.0.2.1 192.0.2.2] away []")
}

// An endpoint that flaps is one incident while its failures lie close, and a failure
// behind a long rest is a new one.
func TestFlapping(t *testing.T) {
	s := &story{}
	for i := range 4 {
		at := time.Duration(i) * 4 * time.Minute
		s.check(at, aws, "down", "timeout", "shop", "192.0.2.1")
		s.check(at+time.Minute, aws, "up", "", "shop", "192.0.2.1")
	}
	s.check(time.Hour, aws, "down", "timeout", "shop", "192.0.2.1")
	got := Group(s.events, Now{})
	if len(got) != 2 || len(got[0].Events) != 8 || !got[0].Over() || got[1].Over() || got[0].Last() != t0.Add(13*time.Minute) {
		t.Errorf("%+v", got)
	}
}

// What people move belongs to no incident, nor does what moves from elsewhere.
func TestWhatStandsByItself(t *testing.T) {
	s := &story{}
	s.check(0, aws, "down", "timeout", "shop", "192.0.2.1")
	s.add(time.Second, journal.Event{Kind: journal.Override, Target: gcp})
	s.move(2*time.Second, gcp, aws, "moved", "mail")
	s.move(3*time.Second, gcp, aws, "moved", "shop")
	s.add(4*time.Second, journal.Event{Kind: journal.Ramp, Region: gcp, To: "10", Services: []string{"mail"}})
	s.check(5*time.Second, gcp, "up", "", "mail", "198.51.100.1")
	s.add(6*time.Second, journal.Event{Kind: journal.Check, To: "unknown", Services: []string{"shop"}})
	s.add(7*time.Second, journal.Event{Kind: journal.Region, Region: gcp, To: "up"})
	got := said(s.events, Now{})
	expect(t, got[1:], "override", "move", "move", "ramp", "check", "check", "region")
}

// What is so now counts: names that are gone end an incident, and a check that fails on
// keeps it. Only the latest incident of a thing lasts.
func TestWhatIsSoNow(t *testing.T) {
	s := region()
	s.check(time.Minute, aws, "up", "", "s01", "192.0.2.1")
	s.check(time.Hour, aws, "down", "timeout", "s02", "192.0.2.2")
	now := Now{
		Down: func(end string) bool { return end == "192.0.2.1" || end == "192.0.2.2" },
		Away: func(service string) bool { return service == "s05" },
	}
	got := Group(s.events, now)[1]
	if !slices.Equal(got.Down, []string{"192.0.2.1", "192.0.2.2"}) || !slices.Equal(got.Away, []string{"s05"}) {
		t.Errorf("lasting incident: down %v, away %v", got.Down, got.Away)
	}
	now.Away = func(string) bool { return false }
	now.Down = func(end string) bool { return end == "192.0.2.2" }
	s = region()
	for i := range 12 {
		s.check(time.Minute, aws, "up", "", fmt.Sprintf("s%02d", i), fmt.Sprint("192.0.2.", i))
		s.move(2*time.Minute, gcp, aws, "policy", fmt.Sprintf("s%02d", i))
	}
	s.check(time.Hour, aws, "down", "timeout", "s02", "192.0.2.2")
	all := Group(s.events, now)
	if len(all) != 3 || !all[1].Over() || all[2].Over() {
		t.Errorf("%d incidents: %+v", len(all), all)
	}
}

// A history that no resolver wrote is grouped all the same.
func FuzzGroup(f *testing.F) {
	f.Add([]byte("abcdefghijklmnop"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kinds := []journal.Kind{journal.Check, journal.Region, journal.Moved, journal.Ramp, journal.Refused, journal.Brake, journal.Override}
		s := &story{}
		for i := 0; i+3 < len(data); i += 4 {
			words := []string{"", aws, gcp, "down", "up", "0", "10", "policy", aws + "+" + gcp}
			word := func(n byte) string { return words[int(n)%len(words)] }
			s.add(time.Duration(data[i+3])*time.Minute, journal.Event{
				Kind: kinds[int(data[i])%len(kinds)], Region: word(data[i+1]), From: word(data[i+1] / 9), To: word(data[i+2]), Why: word(data[i+2] / 9),
				Services: []string{word(data[i+3])}, Endpoints: []string{word(data[i+3] / 9)},
			})
		}
		n := 0
		for _, x := range Group(s.events, Now{}) {
			n += len(x.Events)
			if !x.Single() && len(x.Regions) == 0 {
				t.Errorf("an incident of nothing: %+v", x)
			}
		}
		if n != len(s.events) {
			t.Errorf("%d events of %d", n, len(s.events))
		}
	})
}
