package monitor

import (
	"math"

	"github.com/detour-dns/detour/internal/files"
)

const (
	leastInFlight = 256 // MaxInFlight when few checks need less
	leastShare    = 16  // of a region with that many checks
)

// region is a share of the probes in flight.
type region struct {
	name     string
	checks   int
	need     float64 // probes in flight when all its checks are silent
	share    int     // probes it may have in flight, at least 1
	inFlight int
	waiting  []*entry // due, the longest wait first
	inRing   bool     // in Monitor.ring
}

// pop takes the entry that waits longest.
func (r *region) pop() *entry {
	e := r.waiting[0]
	r.waiting[0] = nil
	r.waiting = r.waiting[1:]
	return e
}

// floor is the part of the share that does not depend on the others' needs.
func (r *region) floor() int { return min(r.checks, leastShare) }

// waitLocked puts a due entry into its region's list.
func (m *Monitor) waitLocked(e *entry) {
	e.state = waiting
	e.region.waiting = append(e.region.waiting, e)
	m.waiting++
	m.turnLocked(e.region)
}

// turnLocked gives a region its turn, if it has use for one.
func (m *Monitor) turnLocked(r *region) {
	if !r.inRing && len(r.waiting) > 0 && r.inFlight < r.share {
		r.inRing = true
		m.ring = append(m.ring, r)
	}
}

// shareLocked divides the probes in flight among the regions: a floor for each,
// the rest by need. The shares together are at most the limit, unless there are
// more regions than probes.
func (m *Monitor) shareLocked() {
	m.max = autoLimit(m.checks, m.limit)
	floors, need := 0, 0.0
	for _, r := range m.regions {
		floors += r.floor()
		need += r.need
	}
	rest := max(m.max-floors, 0)
	for _, r := range m.regions {
		r.share = r.floor()
		if floors > m.max {
			r.share = m.max * r.floor() / floors
		}
		if need > 0 {
			r.share += int(float64(rest) * r.need / need)
		}
		r.share = max(r.share, 1)
		m.turnLocked(r)
	}
}

// autoLimit returns how many probes may be in flight. What is asked for counts,
// save that probes never take more than half of the file descriptors: the rest
// belongs to queries.
func autoLimit(checks map[uint64]*entry, asked int) int {
	need, sockets := 0.0, 1
	for _, e := range checks {
		need += e.check.need()
		if p, ok := e.check.Prober.(interface{ Sockets() int }); ok {
			sockets = max(sockets, p.Sockets())
		}
	}
	limit := asked
	if limit <= 0 {
		limit = max(int(math.Ceil(2*need)), leastInFlight)
	}
	return max(min(limit, files.MostOpen()/2/sockets), 1)
}

// need returns how many probes of a check are in flight on average if all of
// them are silent.
func (c *Check) need() float64 { return float64(c.Timeout) / float64(c.Interval) }
