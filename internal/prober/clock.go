package prober

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// mostStep is how far a clock may be set before what it says of certificates counts
// as this machine's fault: time synchronization slews below that.
const mostStep = time.Minute

// began is when this process began: a reading of the wall clock and of the monotonic
// one.
var began = time.Now()

// ClockStep returns how far the wall clock was set between two readings of time.Now,
// forward if positive: it went on by so much more than the monotonic clock.
func ClockStep(from, to time.Time) time.Duration {
	return to.Round(0).Sub(from.Round(0)) - to.Sub(from)
}

// dateCause tells a certificate that is outside its validity from a clock that is. One
// that is valid by the clock as it was, before somebody set it, says nothing of the
// endpoint. wall is the clock as it is, step how far it was set.
func dateCause(cert *x509.Certificate, wall time.Time, step time.Duration) (health.Cause, string) {
	valid := "certificate valid from " + day(cert.NotBefore) + " to " + day(cert.NotAfter)
	if was := wall.Add(-step); step.Abs() > mostStep && !was.Before(cert.NotBefore) && !was.After(cert.NotAfter) {
		way := "forward"
		if step < 0 {
			way = "back"
		}
		return health.CauseClock, fmt.Sprintf("%s, and this machine's clock was set %s by %s", valid, way, step.Abs().Round(time.Second))
	}
	return health.CauseTLSExpired, valid
}
