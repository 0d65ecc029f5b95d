package health

import "time"

// Ejections remembers when something was taken out of use, oldest first. It is
// never changed in place, so that copies may share it.
type Ejections []time.Time

// MaxEjections bounds what is remembered. More within a window would not change
// any wait: both maxima are reached well before.
const MaxEjections = 30

// Add returns e with t. Of more than the memory holds the oldest is forgotten.
func (e Ejections) Add(t time.Time) Ejections {
	if len(e) >= MaxEjections {
		e = e[len(e)-MaxEjections+1:]
	}
	return append(append(make(Ejections, 0, len(e)+1), e...), t)
}

// Near is how far apart in time two checks of an endpoint, or two observers, may see one
// failure: a local Down waits 9 s for the others' consent.
const Near = 15 * time.Second

// merged are the ejections of two checks of one endpoint, in order of time. What both saw of
// one failure is one ejection, at the later time. It is the same whichever comes first.
func merged(a, b Ejections) Ejections {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make(Ejections, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch apart := a[0].Sub(b[0]); {
		case apart.Abs() <= Near && apart >= 0:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		case apart.Abs() <= Near:
			out, a, b = append(out, b[0]), a[1:], b[1:]
		case apart < 0:
			out, a = append(out, a[0]), a[1:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	out = append(append(out, a...), b...)
	return out[max(0, len(out)-MaxEjections):]
}

// Last returns the latest ejection, zero if there was none.
func (e Ejections) Last() time.Time {
	if len(e) == 0 {
		return time.Time{}
	}
	return e[len(e)-1]
}

// Within returns how many ejections lie in the window that ends at end.
func (e Ejections) Within(window time.Duration, end time.Time) int {
	n := 0
	for _, t := range e {
		if end.Sub(t) < window {
			n++
		}
	}
	return n
}

// Wait returns step x ejections, at least one step and at most limit.
func Wait(step, limit time.Duration, ejections int) time.Duration {
	return min(limit, step*time.Duration(max(1, ejections)))
}
