package steer

import (
	"net/netip"

	"github.com/detour-dns/detour/internal/health"
)

// scratch is room that a Build uses again for every service. What is in it does
// not outlive the next call that asks for the same.
type scratch struct {
	bases, nows []Standing
	ranks       []rank
	use         []netip.Addr
	view        health.View
	v4, v6      []listed
	evidence    []evidence
}

// base returns room for the standings of n endpoints.
func (r *scratch) base(n int) []Standing {
	r.bases = grow(r.bases, n)
	return r.bases
}

// now returns the standings of ends.
func (r *scratch) now(ends []EndpointState) []Standing {
	r.nows = grow(r.nows, len(ends))
	for i := range ends {
		r.nows[i] = ends[i].Standing
	}
	return r.nows
}

func (r *scratch) ranked(n int) []rank {
	r.ranks = grow(r.ranks, n)
	return r.ranks
}

// listed empties the lists in which a set's addresses are gathered.
func (r *scratch) listed() { r.v4, r.v6 = r.v4[:0], r.v6[:0] }

func grow[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// identity is the order of pools as they are listed; maxPools bounds a service's
// pools, which are kept as the bits of one word.
var identity = func() (out [maxPools]int) {
	for i := range out {
		out[i] = i
	}
	return out
}()

const maxPools = 64

// everybody is the one location class of services that look at no place.
var everybody = []int{-1}

// block is the part of a service's state whose size is known beforehand, in one
// allocation: nearly every service has one choice of one set. All that belongs to
// a service is allocated for it alone, so that a state that many snapshots share
// keeps nothing alive but itself.
type block struct {
	state  ServiceState
	choice [1]choice
	set    [1]set
}

// newBlock returns the state of a service with room for its pools and endpoints.
func newBlock(s *Service) *block {
	n := 0
	for p := range s.Pools {
		n += len(s.Pools[p].Endpoints)
	}
	blk := &block{}
	blk.state.Pools = make([]PoolState, len(s.Pools))
	ends := make([]EndpointState, n)
	for p := range s.Pools {
		n := len(s.Pools[p].Endpoints)
		blk.state.Pools[p].Ends, ends = ends[:n:n], ends[n:]
	}
	return blk
}
