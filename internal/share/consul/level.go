package consul

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// deniedPause is how long this observer leaves to others what its token may not
// write.
const deniedPause = 5 * time.Minute

// level gives each store the records that only others hold, until Close. A store may
// have been away when something was decided: if it alone is left later, an observer
// that starts must find there that a region is drained, and that another no longer
// is.
func (s *Share) level() {
	select {
	case <-s.list.on:
	case <-s.ctx.Done():
		return
	}
	for {
		s.mu.Lock()
		behind, news := len(s.behind()) > 0, s.news
		s.mu.Unlock()
		if behind {
			if !s.levelSoon() {
				return
			}
			continue
		}
		select {
		case <-news:
		case <-s.ctx.Done():
			return
		}
	}
}

// levelSoon writes, within 30 s at random, what stores lack by then: of many
// observers one comes first. It reports whether to go on.
func (s *Share) levelSoon() bool {
	if !s.sleep(rand.N(3 * s.wait)) {
		return false
	}
	s.mu.Lock()
	behind := s.behind()
	s.mu.Unlock()
	denied := false
	for st, list := range behind {
		err := st.put(s.ctx, s.encode(list))
		denied = denied || errors.Is(err, ErrDenied)
	}
	return !denied || s.sleep(deniedPause)
}

// sleep reports whether it was not ended by Close.
func (s *Share) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// behind returns the records that stores lack, or hold in an older version than
// another, by store. What cannot be read is not judged. The caller holds the lock.
func (s *Share) behind() map[*store][]share.Record {
	out := map[*store][]share.Record{}
	best := s.best()
	for _, st := range s.stores {
		p := &st.parts[inCtl]
		if !p.healthy() {
			continue
		}
		for name, r := range best {
			if e, ok := p.entries[name]; !ok || e.record.Version.Less(r.Version) {
				out[st] = append(out[st], *r)
			}
		}
	}
	return out
}
