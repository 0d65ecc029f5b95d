package demo

import (
	"net/netip"
	"sync"
	"time"
)

// tally counts answers by region.
type tally struct {
	index map[netip.Addr]int

	mu    sync.Mutex // guards what follows
	row   row
	all   int
	bad   int
	dead  int       // region that is cut off, -1 if none is
	after int       // answers that named it since
	last  time.Time // the last of them
}

// row is what was answered since the last one.
type row struct {
	by       []int // by region
	answers  int
	failed   int
	min, max uint32 // TTL
}

func newTally(regions []*region) *tally {
	t := &tally{index: map[netip.Addr]int{}, dead: -1, row: row{by: make([]int, len(regions))}}
	for i, r := range regions {
		t.index[netip.MustParseAddrPort(r.addr).Addr()] = i
	}
	return t
}

func (t *tally) add(ip netip.Addr, ttl uint32, err error, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.index[ip]
	t.all++
	if err != nil || !known {
		t.bad++
		t.row.failed++
		return
	}
	t.row.count(i, ttl)
	if i == t.dead {
		t.after++
		t.last = now
	}
}

func (r *row) count(region int, ttl uint32) {
	if r.answers == 0 {
		r.min, r.max = ttl, ttl
	}
	r.min, r.max = min(r.min, ttl), max(r.max, ttl)
	r.answers++
	r.by[region]++
}

// take returns the row and begins another one.
func (t *tally) take() row {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.row
	t.row = row{by: make([]int, len(out.by))}
	return out
}

// cut begins to count the answers that name a region which is no more. It goes
// on until whole is called.
func (t *tally) cut(region int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead, t.after = region, 0
}

// whole ends that.
func (t *tally) whole() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = -1
}

// harm returns how many answers named the dead region, and when the last did.
func (t *tally) harm() (answers int, last time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.after, t.last
}

// totals returns all answers and those that failed.
func (t *tally) totals() (all, bad int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all, t.bad
}
