package prober

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// TestAStepOfTheClockIsLocal: a certificate that only the clock that was set finds
// outside its validity is no fault of the endpoint; one that is outside by both is,
// and so is one after a step that time synchronization makes by itself.
func TestAStepOfTheClockIsLocal(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{NotBefore: from, NotAfter: from.AddDate(0, 3, 0)}
	for name, c := range map[string]struct {
		was  time.Time
		step time.Duration
		want health.Cause
		says string
	}{
		"set forward by a year":           {from.AddDate(0, 1, 0), 365 * 24 * time.Hour, health.CauseClock, "forward by 8760h0m0s"},
		"set back to 1970":                {from.AddDate(0, 1, 0), -56 * 365 * 24 * time.Hour, health.CauseClock, "back by"},
		"set, and it had expired before":  {from.AddDate(0, 4, 0), 24 * time.Hour, health.CauseTLSExpired, "to 2027-01-01"},
		"expired, nothing set":            {from.AddDate(0, 4, 0), 0, health.CauseTLSExpired, "from 2026-10-01"},
		"set right, from before it began": {from.AddDate(0, 0, -9), 400 * 24 * time.Hour, health.CauseTLSExpired, ""},
		"a minute at the end":             {cert.NotAfter.Add(-time.Second), time.Minute, health.CauseTLSExpired, ""},
		"more than that at the end":       {cert.NotAfter, time.Minute + time.Second, health.CauseClock, ""},
	} {
		if got, says := dateCause(cert, c.was.Add(c.step), c.step); got != c.want || !strings.Contains(says, c.says) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got, says, c.want, c.says)
		}
	}
	if !health.CauseClock.Local() {
		t.Error("it counts against the endpoint")
	}
}

// TestClockStep: what the two clocks differ by is how far one was set.
func TestClockStep(t *testing.T) {
	t.Parallel()
	if d := ClockStep(began, time.Now()); d.Abs() > time.Second {
		t.Errorf("nobody set the clock: %v", d)
	}
	if d := ClockStep(began, began.Add(time.Hour)); d != 0 {
		t.Errorf("an hour later: %v", d)
	}
	if d := ClockStep(began, began.Round(0).Add(time.Hour)); d != 0 {
		t.Errorf("without a monotonic reading nothing is known: %v", d)
	}
}
