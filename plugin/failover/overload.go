package failover

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// lull is for how long nothing must have been refused until that is over.
const lull = time.Minute

// overload is how it stands with what the gate refuses.
type overload struct {
	began, last time.Time // of what goes on; zero: nothing does
	before      uint64    // refused before it began
	total       uint64    // refused so far
}

// look returns how it stands now that total questions were refused since the start,
// and what is news, "" if nothing is.
func (o overload) look(now time.Time, total uint64) (_ overload, news string) {
	grew := total > o.total
	switch {
	case grew && o.began.IsZero():
		o.began, o.last, o.before = now, now, o.total
		news = fmt.Sprintf("questions for names that are no services are refused: %d wait for upstreams, which answer too slowly or not at all", maxWaiting)
	case grew:
		o.last = now
	case !o.began.IsZero() && now.Sub(o.last) >= lull:
		news = fmt.Sprintf("no question is refused any more: %d were, in %s", total-o.before, o.last.Sub(o.began).Round(time.Second))
		o.began = time.Time{}
	}
	o.total = total
	return o, news
}

// mindDoor tells of overload in the log and in the history.
func (s *shared) mindDoor() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	log := slog.New(newLogHandler())
	for {
		select {
		case now := <-t.C:
			o, news := s.door.state().look(now, s.door.refused.Load())
			s.door.seen.Store(&o)
			if news != "" {
				log.Warn(news)
				s.engine().Journal().Add(journal.Event{At: now, Kind: journal.Overload, Text: news})
			}
		case <-s.quit:
			return
		}
	}
}

func (d *door) state() (o overload) {
	if seen := d.seen.Load(); seen != nil {
		o = *seen
	}
	return o
}

// overloaded says for `status` that questions are refused, "" if none was for a while.
func (s *shared) overloaded(now time.Time) string {
	o := s.door.state()
	if o.began.IsZero() {
		return ""
	}
	return fmt.Sprintf("upstreams answer too slowly or not at all: %d questions for names that are no services were refused in %s, %d wait",
		o.total-o.before, now.Sub(o.began).Round(time.Second), min(s.door.waiting.Load(), maxWaiting))
}
