package admin

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// TestStatusThroughAnOutage follows one resolver from calm to panic and back.
func TestStatusThroughAnOutage(t *testing.T) {
	s := newSystem(t, fleet+"self: {checks: [\"tcp://192.0.2.1:53\"]}\n")
	c := client(t, s.listen(t, config.Admin{}))
	st := eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy && s.Checks.Unknown == 0 })
	if st.ExitCode != 0 || st.Moved.Services != 0 || st.Next != nil || len(st.Regions) != 3 || len(st.Services) != 4 {
		t.Errorf("calm: %+v", st)
	}
	if len(st.AtRisk) != 1 || st.AtRisk[0].Lost || st.AtRisk[0].Service != "solo.example.org" {
		t.Errorf("at risk: %+v", st.AtRisk)
	}
	calm := st.Decision

	s.world.refuse("192.0.2.10", "192.0.2.11", "192.0.2.20", "192.0.2.40")
	st = eventually(t, c, "moved", func(s *Status) bool { return s.Moved.Services == 3 })
	aws := st.Regions[0]
	if aws.NothingUp != 3 || aws.Causes["refused"] != 3 || aws.Serving != 0 || aws.Endpoints.Down != 4 || aws.Since.IsZero() {
		t.Errorf("the region: %+v", aws)
	}
	if !slices.Equal(st.Moved.To, []Count{{"gcp/europe-west1", 3}}) || st.Moved.Clients.Sub(st.Moved.Last).Seconds() != 30 {
		t.Errorf("moved: %+v", st.Moved)
	}
	if st.ExitCode != 2 || st.State != Degraded || st.Decision == calm { // db and wild have no other region
		t.Errorf("%s %d", st.State, st.ExitCode)
	}
	if st.Next == nil || st.Next.Region != "aws/us-east-1" || !st.Next.IfUp || st.Next.Manual {
		t.Errorf("next: %+v", st.Next)
	}

	s.world.refuse("203.0.113.30")
	st = eventually(t, c, "in panic", func(s *Status) bool { return s.State == Panic })
	if st.ExitCode != 2 || !strings.Contains(st.Sentence, "1 of 4 services have nothing healthy and answer by last resort: solo.example.org") {
		t.Errorf("%d %s", st.ExitCode, st.Sentence)
	}
	var b strings.Builder
	if err := WriteStatus(&b, st, false); err != nil || !strings.HasPrefix(b.String(), "PANIC  solo.example.org fails in azure/westeurope, where others are well: connection refused (1 endpoint), since ") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestObserving(t *testing.T) {
	s := newSystem(t, strings.Replace(fleet, "version: 1", "version: 1\nmode: observe", 1))
	c := client(t, s.listen(t, config.Admin{}))
	s.world.refuse("192.0.2.20")
	st := eventually(t, c, "told what would be", func(s *Status) bool { return s.Moved.Would == 1 })
	i := slices.IndexFunc(st.Services, func(s Service) bool { return s.Name == "db.example.org" })
	if db := st.Services[i]; !db.Observe || !slices.Equal(db.Would, []string{"gcp/europe-west1"}) || st.Moved.Services != 0 {
		t.Errorf("got %+v, moved %+v", db, st.Moved)
	}
}

// TestListsAreNeverNull holds the promise of the wire types, for all that
// programs iterate over.
func TestListsAreNeverNull(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	for _, path := range []string{"/v1/status", "/v1/overrides", "/v1/services/shop.example.org", "/v1/explain?name=shop.example.org", "/v1/incidents", "/v1/events"} {
		if r := send(t, srv, "GET", path, ""); strings.Contains(r.body, "null") || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %s", path, r.header, r.body)
		}
	}
}

// TestWire holds the names on the wire to one form, and that nothing is lost on
// its way.
func TestWire(t *testing.T) {
	want := night()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`"([^"]*)":`).FindAllStringSubmatch(string(data), -1) {
		if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(name[1]) {
			t.Errorf("key %q", name[1])
		}
	}
	var got Status
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !got.At.Equal(want.At) || !reflect.DeepEqual(got.AtRisk, want.AtRisk) || !reflect.DeepEqual(got.Regions[1], want.Regions[1]) {
		t.Errorf("got %+v", got)
	}
}
