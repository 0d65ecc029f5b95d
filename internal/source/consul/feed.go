package consul

import (
	"errors"
	"time"

	"github.com/detour-dns/detour/internal/source"
)

// answer is one answer of Consul, read.
type answer struct {
	index       uint64
	knownLeader bool
	lastContact time.Duration // of the server that answered with its leader
	hidden      bool          // instances were left out that the token may not see
	instances   []source.Instance
	ignored     Ignored
}

// Bounds of what is believed.
const (
	maxContact = 5 * time.Second  // an answer from a server that lost its leader for longer is old
	emptyAfter = 10 * time.Second // between the two empty answers that are believed
)

// feed is what is known of one service in one datacenter.
//
//	answer                              instances            next query
//	good, with instances                those of it          after its index
//	empty, none were known              none                 after its index
//	empty, the first                    stay, gone           after its index, 10 s at most
//	empty, 10 s later, later index      stay, gone, emptied  after its index
//	index lower, or 0                   stay                 from 0
//	of a server without leader, old,
//	or with instances hidden            stay                 the same again
//
// An answer of the last two kinds that has instances is taken where nothing is
// known: it is better than nothing.
type feed struct {
	datacenter string

	index     uint64
	instances []source.Instance
	at        time.Time // of the last good answer
	emptied   bool      // Consul said twice that there are none; instances are what was known last
	fresh     bool      // the next query goes to the leader: a server's answer was old

	empty      time.Time // of the first empty answer in a row, zero: none
	emptyIndex uint64
}

var (
	errReset   = errors.New("consul's index went back")
	errNoIndex = errors.New("the answer has no index")
	errLeader  = errors.New("the server knows no leader")
	errOld     = errors.New("the server has not heard from its leader for more than 5s")
	errHidden  = errors.New("the token may not read all instances: it needs service:read and node:read")
)

// take weighs an answer. An error says why it was not good.
func (f *feed) take(a answer, now time.Time) error {
	err := f.doubt(a)
	f.fresh = errors.Is(err, errOld)
	switch {
	case err != nil && f.at.IsZero() && len(f.instances) == 0 && len(a.instances) > 0:
		f.instances = a.instances
		return err
	case err != nil:
		return err
	case len(a.instances) > 0, len(f.instances) == 0:
		f.instances, f.empty, f.emptied = a.instances, time.Time{}, false
	default:
		f.takeEmpty(a, now)
	}
	f.index, f.at = a.index, now
	return nil
}

// doubt says why an answer is not good, and where to go on.
func (f *feed) doubt(a answer) error {
	switch {
	case a.index == 0 || a.index < f.index:
		known := f.index
		f.index, f.empty = 0, time.Time{}
		if known == 0 {
			return errNoIndex
		}
		return errReset
	case !a.knownLeader:
		return errLeader
	case a.lastContact > maxContact:
		return errOld
	case a.hidden:
		return errHidden
	}
	return nil
}

func (f *feed) takeEmpty(a answer, now time.Time) {
	switch {
	case f.empty.IsZero():
		f.empty, f.emptyIndex = now, a.index
		f.instances = gone(f.instances)
	case now.Sub(f.empty) >= emptyAfter && a.index > f.emptyIndex:
		f.emptied = true
	}
}

// gone returns instances that Consul no longer lists.
func gone(list []source.Instance) []source.Instance {
	out := make([]source.Instance, len(list))
	for i, in := range list {
		in.Status, in.Detail = source.Gone, "no longer in the catalog"
		out[i] = in
	}
	return out
}

// restore takes what a restart left.
func (f *feed) restore(e source.Entry) {
	for _, in := range e.Instances {
		if in.Datacenter == f.datacenter {
			f.instances = append(f.instances, in)
		}
	}
	f.at = e.Read[f.datacenter]
}

// confirming reports whether an empty answer waits for a second one.
func (f *feed) confirming() bool { return !f.empty.IsZero() && !f.emptied }

// join returns what is known of a service in all its datacenters, how many addresses were
// too many, and how many too heavy. What Consul
// emptied in one of them is dropped once it lists instances in another; else it
// stays: a service without any address is never believed.
func join(feeds []*feed) (e source.Entry, left, cut int) {
	listed := false
	for _, f := range feeds {
		listed = listed || !f.emptied && len(f.instances) > 0 && f.empty.IsZero()
	}
	var all []source.Instance
	e.Read = make(map[string]time.Time, len(feeds))
	for _, f := range feeds {
		if listed && f.emptied {
			f.instances, f.emptied, f.empty = nil, false, time.Time{}
		}
		all = append(all, f.instances...)
		e.Read[f.datacenter] = f.at
	}
	e.Instances, left = source.Merge(all)
	return e, left, source.Bound(e.Instances)
}
