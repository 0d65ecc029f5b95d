package failover

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/config"
)

// strangers are the clients that are refused because `recursion` does not name them.
// Pods with public addresses are such clients, and their names would all fail.
type strangers struct {
	n    atomic.Uint64 // questions of theirs
	last atomic.Pointer[stranger]
	told atomic.Bool
}

type stranger struct {
	addr netip.Addr
	at   time.Time
}

// anew is how old the last stranger is before another one takes its place: a flood of
// them costs a look at the clock.
const anew = time.Second

// lately is how long strangers are told of in `status`.
const lately = 10 * time.Minute

// meet counts a question that is refused, and logs the first one.
func (s *strangers) meet(w dns.ResponseWriter) {
	s.n.Add(1)
	now := time.Now()
	if last := s.last.Load(); last != nil && now.Sub(last.at) < anew {
		return
	}
	addr := clientAddr(w)
	s.last.Store(&stranger{addr, now})
	if s.told.CompareAndSwap(false, true) {
		slog.New(newLogHandler()).Warn("a client is refused: recursion does not name it; if it is yours, add its network to recursion in failover.yaml", "client", addr)
	}
}

// text says for `status` that clients are refused, "" if none was of late, or if that
// is usual: the public may ask for some services.
func (s *strangers) text(now time.Time, cfg *config.Config) string {
	last := s.last.Load()
	if last == nil || now.Sub(last.at) > lately {
		return ""
	}
	for i := range cfg.Services {
		if cfg.Services[i].Public {
			return ""
		}
	}
	return fmt.Sprintf("clients are refused that recursion does not name: %d questions, the last %s ago by %s; if they are yours, add their network to recursion in failover.yaml",
		s.n.Load(), now.Sub(last.at).Round(time.Second), last.addr)
}
