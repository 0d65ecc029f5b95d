package failover

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// lull is for how long nothing must have been refused until that is over.
const lull = time.Minute

// overload is how it stands with what the gate refuses.
type overload struct {
	on          bool      // it goes on
	began, last time.Time // of the last one, on or over
	before      uint64    // refused before it began
	total       uint64    // refused so far
}

// look returns how it stands now that total questions were refused since the start,
// and whether it has begun, or ended.
func (o overload) look(now time.Time, total uint64) (_ overload, begins, ends bool) {
	grew := total > o.total
	switch {
	case grew && !o.on:
		o.on, o.began, o.before = true, now, o.total
		begins = true
	case !grew && o.on && now.Sub(o.last) >= lull:
		o.on, ends = false, true
	}
	if grew {
		o.last = now
	}
	o.total = total
	return o, begins, ends
}

// count says how many were refused, and for how long that went on.
func (o *overload) count() string {
	return fmt.Sprintf("%d in %s", o.total-o.before, max(o.last.Sub(o.began), time.Second).Round(time.Second))
}

// whose says which names many of those that wait are for, if there is a zone.
func (d *door) whose() string {
	if zone := d.full.Load(); zone != nil && *zone != "" {
		return "; many are for names below " + strings.ToLower(*zone)
	}
	return ""
}

// mindDoor tells of overload in the log and in the history.
func (s *shared) mindDoor() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	log := slog.New(newLogHandler())
	for {
		select {
		case now := <-t.C:
			o, begins, ends := s.door.state().look(now, s.door.refused.Load())
			s.door.seen.Store(&o)
			news := ""
			switch {
			case begins:
				news = fmt.Sprintf("questions for names that are no services are refused: %d wait for upstreams, which answer too slowly or not at all%s",
					s.door.waiting.Load(), s.door.whose())
				log.Warn(news)
			case ends:
				news = "no question is refused any more: " + o.count() + " were"
				log.Info(news)
				s.door.full.Store(nil)
			default:
				continue
			}
			s.engine().Journal().Add(journal.Event{At: now, Kind: journal.Overload, Text: news})
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
	if !o.on {
		return ""
	}
	return fmt.Sprintf("questions for names that are no services are refused: %s, the last %s ago; %d wait, of at most %d, for upstreams that answer too slowly or not at all%s",
		o.count(), now.Sub(o.last).Round(time.Second), s.door.waiting.Load(), s.door.room, s.door.whose())
}
