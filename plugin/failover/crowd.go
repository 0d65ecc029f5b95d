package failover

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/internal/steer"
)

// crowd estimates how many client networks ask. A ramp that lets in a share of
// the clients is a lie if there are two of them, each standing for thousands: a
// site's forwarder, the cache of a node. Then shares are drawn per answer.
type crowd struct {
	now  atomic.Pointer[seen]
	last int       // estimate of the window before
	from time.Time // start of the present window
}

// seen has a bit for each hash of a client network.
type seen [crowdBits / 64]atomic.Uint64

const (
	crowdBits   = 4096
	crowdEnough = 50               // networks from which on a share of them is a share
	crowdWindow = 10 * time.Minute // in which they must have asked
)

func newCrowd(now time.Time) *crowd {
	c := &crowd{from: now}
	c.now.Store(new(seen))
	return c
}

// add notes a client. At rest it only reads.
func (c *crowd) add(a netip.Addr) {
	h := steer.ClientHash(a) % crowdBits
	word, bit := &c.now.Load()[h/64], uint64(1)<<(h%64)
	if word.Load()&bit == 0 {
		word.Or(bit)
	}
}

// few reports whether too few networks asked lately. It is called by one
// goroutine, now and then.
func (c *crowd) few(now time.Time) bool {
	n := 0
	s := c.now.Load()
	for i := range s {
		n += bits.OnesCount64(s[i].Load())
	}
	few := max(n, c.last) < crowdEnough
	if now.Sub(c.from) >= crowdWindow {
		c.last, c.from = n, now
		c.now.Store(new(seen))
	}
	return few
}
