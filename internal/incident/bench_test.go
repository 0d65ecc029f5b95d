package incident

import (
	"fmt"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// BenchmarkGroup groups a full history of events that name as many as they can: a region
// of a thousand services that flaps for days.
func BenchmarkGroup(b *testing.B) {
	s := &story{}
	var services, ends []string
	for i := range journal.MaxNames {
		services = append(services, fmt.Sprintf("service-%d.example.org", i))
		ends = append(ends, fmt.Sprintf("192.0.2.%d", i))
	}
	for i := range journal.Size / 4 {
		at := time.Duration(i) * time.Minute
		s.add(at, journal.Event{Kind: journal.Check, Region: aws, To: "down", Why: "timeout", Services: services, Endpoints: ends})
		s.add(at, journal.Event{Kind: journal.Moved, From: aws, To: gcp, Why: "moved", Services: services})
		s.add(at, journal.Event{Kind: journal.Check, Region: aws, To: "up", Services: services, Endpoints: ends})
		s.add(at, journal.Event{Kind: journal.Moved, From: gcp, To: aws, Why: "policy", Services: services})
	}
	for b.Loop() {
		Group(s.events, Now{})
	}
}
