package engine

import (
	"context"
	"errors"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/share/consul"
	"github.com/detour-dns/detour/internal/state"
)

// Records are decisions of operators that all resolvers share. One that is known
// here outlives any store.

// shared writes the next version of a record and hands it over. A nil value
// deletes it. Without others it does nothing.
func (e *Engine) shared(kind, target string, value any, ttl time.Duration) {
	if e.sharing == nil {
		return
	}
	if r, ok := e.next(kind, target, value, ttl); ok {
		e.sharing.hand([]share.Record{r})
	}
}

// next makes the next version of a record and has it kept.
func (e *Engine) next(kind, target string, value any, ttl time.Duration) (share.Record, bool) {
	r, err := e.ledger.Write(kind, target, value, ttl, time.Now())
	if err != nil {
		e.log.Error("not shared with other resolvers", "target", target, "error", err)
		return r, false
	}
	e.keepRecord(r.Key())
	return r, true
}

// keepRecord has records kept on disk, and with them what operators decided in them:
// a restart must find both or none.
func (e *Engine) keepRecord(keys ...string) {
	if e.disk.store == nil || len(keys) == 0 {
		return
	}
	out := make([]state.Record, 0, 2*len(keys))
	for _, k := range keys {
		r := state.Record{Bucket: state.Shared, Key: k}
		if entry, ok := e.ledger.All()[k]; ok {
			r.Value = entry
		}
		out = append(out, r)
		if hand, ok := e.hands.record(k); ok {
			out = append(out, hand)
		}
	}
	_, _ = e.write(out...) // noted
}

// hand hands records over to be stored. What does not fit is found missing when
// the store is read next.
func (s *sharing) hand(r []share.Record) {
	select {
	case s.puts <- r:
	default:
	}
}

// put stores records, what waits in one go.
func (s *sharing) put() {
	for {
		list := s.next()
		if list == nil {
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
		err := s.share.Put(ctx, list)
		cancel()
		if err == nil {
			_ = s.e.Do(func(*Core) { s.e.ledger.Stored(list) })
		}
		if err != nil && !s.putFailed(list, err) {
			return
		}
		if !s.pause(writeEvery) {
			return
		}
	}
}

// deniedEvery is how often it is told that a token may not write what it should.
const deniedEvery = 10 * time.Minute

// putFailed tells that records could not be stored, and hands them over again in a
// while. What may not be written here holds here; others will not hear of it.
func (s *sharing) putFailed(list []share.Record, err error) (goOn bool) {
	if errors.Is(err, consul.ErrDenied) {
		_ = s.e.Do(func(*Core) {
			if someOver(list) { // others may, who have an operator's token
				s.endDenied = time.Now()
				return
			}
			if time.Since(s.denied) < deniedEvery {
				return
			}
			s.denied = time.Now()
			s.event("what was decided here holds here only, for this resolver's token may not write it for the others: " + err.Error())
		})
		return true
	}
	s.e.log.Warn("a decision is not shared yet with the other resolvers", "records", len(list), "error", err)
	if !s.retry() {
		return false
	}
	s.hand(list)
	return true
}

// next waits for records and returns all that wait, nil at the end.
func (s *sharing) next() (list []share.Record) {
	select {
	case list = <-s.puts:
	case <-s.ctx.Done():
		return nil
	}
	for {
		select {
		case r := <-s.puts:
			list = append(list, r...)
		default:
			return list
		}
	}
}

// readRecords takes what others decided.
func (s *sharing) readRecords() {
	ctx, cancel := context.WithTimeout(s.ctx, firstRead)
	err := s.takeNext(ctx, true)
	cancel()
	s.firstRead.Done()
	heard := err == nil
	for s.ctx.Err() == nil {
		if err != nil && !s.retry() {
			return
		}
		err = s.takeNext(s.ctx, !heard && time.Since(s.e.started) < stillStarting)
		heard = heard || err == nil
	}
}

// stillStarting is how long after the start the first read still says how services
// stand. Later this resolver has decided for itself.
const stillStarting = time.Minute

func (s *sharing) takeNext(ctx context.Context, first bool) error {
	list, err := s.share.Records(ctx)
	if err != nil {
		return err
	}
	return s.e.Do(func(*Core) { s.e.takeRecords(list, first) })
}

// takeRecords takes what a store holds into the ledger and acts on what is news.
func (e *Engine) takeRecords(list []share.Record, first bool) {
	now := time.Now()
	m := e.ledger.Merge(list, now)
	e.mendStores(&m, now)
	keys, changed := e.ledger.Forget(now), false
	for _, entry := range m.News {
		keys = append(keys, entry.Key())
		changed = e.takeRecord(entry, first, now) || changed
	}
	if first {
		e.shareOld()
	}
	e.keepRecord(keys...)
	if changed {
		e.core.SetHands(e.hands.list()) // and everything is built
		e.publish(now)
	}
}

// takeRecord acts on a record that is news, and reports whether that changed anything.
func (e *Engine) takeRecord(entry share.Entry, first bool, now time.Time) bool {
	if entry.Kind == share.Failback {
		return e.takeFailback(entry, first, now)
	}
	return e.takeHand(entry, now)
}

// mendStores has written what the stores should hold and do not.
func (e *Engine) mendStores(m *share.Merged, now time.Time) {
	if len(m.Again) > 0 {
		e.sharing.hand(m.Again)
	}
	if len(m.Lost) > 0 {
		e.sharing.heal(m.Lost)
	}
	if len(e.ledger.Over(now)) > 0 {
		e.sharing.endThem()
	}
}

// shareOld shares what was decided before there was anybody to share it with.
func (e *Engine) shareOld() {
	for target, o := range e.hands.overrides {
		if _, known := e.ledger.Get(share.Override, target); !known && (o.Until.IsZero() || time.Now().Before(o.Until)) {
			e.shared(share.Override, target, o, lasts(o.Until))
		}
	}
	for key, f := range e.hands.freezes {
		if _, known := e.ledger.Get(share.Freeze, key); !known && time.Now().Before(f.Until) {
			e.shared(share.Freeze, key, f, lasts(f.Until))
		}
	}
}
