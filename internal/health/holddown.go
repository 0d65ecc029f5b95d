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
