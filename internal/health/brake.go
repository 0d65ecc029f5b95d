package health

import "time"

// Census counts, before any verdict, what was passing and what of it failed
// its latest probe. It is how we see a fault of our own: the world rarely fails
// everywhere at once, a resolver's uplink does.
type Census struct {
	Regions      []Tally // by region
	SelfPassing  int     // self-checks that passed their latest probe
	SelfFailing  int     // self-checks that failed it
	OthersReport bool    // other zones report the same: it is not us
}

// Tally counts the endpoints of one region.
type Tally struct {
	Passing int // were passing before the event that is being judged
	Failed  int // of these, failed their latest probe
}

// suspicionFloor is the smallest number of failed endpoints that can raise
// suspicion. With fewer there is no telling an observer's fault from theirs.
const suspicionFloor = 4

// Suspicious reports whether what c counts is likelier our fault than theirs.
func (c Census) Suspicious() bool {
	self := c.SelfPassing + c.SelfFailing
	switch {
	case self > 0 && 2*c.SelfPassing > self, c.OthersReport:
		return false
	case self >= 2 && 2*c.SelfFailing > self:
		return true
	}
	with, struck, failed := 0, 0, 0
	for _, t := range c.Regions {
		if t.Passing == 0 {
			continue
		}
		with++
		failed += t.Failed
		if 2*t.Failed > t.Passing {
			struck++
		}
	}
	return struck >= 2 && 2*struck > with && failed >= suspicionFloor
}

// Brake holds back verdicts of Down while we doubt ourselves. It never holds
// back an Up. The zero value is off.
type Brake struct {
	On    bool
	Since time.Time // when it last went on
	Ended time.Time // when it last went off
	Fired int       // how often it went on
	Held  bool      // it holds a verdict back, or did when it was on last
	Rests time.Time // until when it stays off; zero: it may go on
}

// brakeRest is how long after its end the brake stays off. A second doubt so
// soon is more likely the world's doing than ours, and holding on longer would
// keep clients at dead addresses.
const brakeRest = 10 * time.Minute

// Update decides from the latest census and reports whether the brake changed.
// It stays on while the census is suspicious, at most limit. A doubt that passed and
// held nothing back, as in the first moments after a start, cost nobody anything: the
// next one needs no rest before it.
func (b *Brake) Update(c Census, limit time.Duration, now time.Time) bool {
	switch suspicious := c.Suspicious(); {
	case b.On && (!suspicious || now.Sub(b.Since) >= limit):
		b.On, b.Ended = false, now
		if b.Held || suspicious {
			b.Rests = now.Add(brakeRest)
		}
	case !b.On && suspicious && limit > 0 && !now.Before(b.Rests):
		b.On, b.Since, b.Held = true, now, false
		b.Fired++
	default:
		return false
	}
	return true
}

// Until is when a brake that is on goes off at the latest, zero if it is off.
func (b *Brake) Until(limit time.Duration) time.Time {
	if !b.On {
		return time.Time{}
	}
	return b.Since.Add(limit)
}
