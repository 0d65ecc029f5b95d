package engine

import (
	"sync/atomic"
	"time"
)

// Who hung for so long that its voice may be gone does not begin to speak before it
// has found out what went down meanwhile: what it held before would count as new.
const (
	lostAfter = 10 * time.Second
	findsOut  = 15 * time.Second // with the built-in times of a monitor
)

// voice tells whether this resolver may speak to the others.
type voice struct {
	pulse
	again atomic.Pointer[time.Time] // when results came again after a time in which it may have been lost
}

// came notes a result.
func (v *voice) came() {
	now := time.Now()
	if last := v.last.Load(); last != nil && now.Sub(*last) >= max(lostAfter, time.Duration(v.limit.Load())) {
		v.again.Store(&now)
	}
	v.beat()
}

func (v *voice) alive() bool {
	again := v.again.Load()
	return v.pulse.alive() && (again == nil || time.Since(*again) >= findsOut)
}
