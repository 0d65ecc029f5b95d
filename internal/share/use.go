package share

import (
	"hash/fnv"
	"time"
)

// UseAgain is how exact an observer says the age of a return: while it goes on, it
// says it anew as often, for a reader does not know when something was written.
const UseAgain = 10 * time.Second

// Use is which pools one observer answers from. It says nothing of a service that
// is not listed.
type Use struct {
	Observer string
	Zone     string
	Boot     string // of the start that says so
	Services []ServiceUse
}

// ID is that of the observer, as Opinion.ID.
func (u *Use) ID() string { return MemberID(u.Zone, u.Observer) }

// ServiceUse is how the pools of a service stand for an observer.
type ServiceUse struct {
	ID    uint64    // ServiceID of its name
	Pools []PoolUse // in the observer's order, each once
}

// PoolUse is how one pool stands.
type PoolUse struct {
	Name      string        // as steer.Memory.Names says
	Used      bool          // clients are answered from it, outside any ramp
	Out       bool          // it was left, and its clients are not its own again
	Returning bool          // it is ready again, and waits or ramps; only of one that is Out
	Age       time.Duration // how long it has been Returning, to UseAgain; 0 if it waits for an operator
	Ejections int           // how often it was left within the window of hold-downs, when it returned
}

// ServiceID is the stable number of a service: FNV-1a of its name, and of how its pools lie
// where their regions do not say which is which. Who has other pools there has another number,
// and says nothing of this one.
func ServiceID(name, layout string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name + layout))
	return h.Sum64()
}
