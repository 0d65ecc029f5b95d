package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/share/consul"
	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

// Records are decisions that all resolvers share: what operators did, and which
// pool a service uses. One that is known here outlives any store.

// inUse is how a service stands, as a new or restarted resolver must take it over.
type inUse struct {
	Memory steer.Memory `json:"memory"`
}

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
	close(s.first)
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
	news, lost := e.ledger.Merge(list, now)
	if len(lost) > 0 {
		e.sharing.heal(lost)
	}
	if len(e.ledger.Over(now)) > 0 {
		e.sharing.endThem()
	}
	keys := e.ledger.Forget(now)
	memories, hands := map[string]steer.Memory{}, false
	for _, entry := range news {
		keys = append(keys, entry.Key())
		if entry.Kind == share.InUse {
			e.takeInUse(entry, first, memories)
		} else {
			hands = e.takeHand(entry, now) || hands
		}
	}
	if first {
		e.takeKnownUse(list, memories)
		e.shareOld()
	}
	e.keepRecord(keys...)
	if !hands && len(memories) == 0 {
		return
	}
	e.core.SetHands(e.hands.list()) // and everything is built
	e.core.snap = e.core.snap.WithMemories(memories)
	e.publish(now)
}

// takeKnownUse takes over at the start what was known before the stop: the store
// has it still, so that nothing else happened since.
func (e *Engine) takeKnownUse(list []share.Record, into map[string]steer.Memory) {
	for i := range list {
		r := &list[i]
		if entry, ok := e.ledger.Get(r.Kind, r.Target); ok && r.Kind == share.InUse && entry.Version == r.Version {
			e.takeInUse(entry, true, into)
		}
	}
}

// takeInUse takes over how a service stands elsewhere: at the start, so that a new
// or restarted resolver moves nothing back; later for services that go back when an
// operator says so, for he may have said it elsewhere.
func (e *Engine) takeInUse(entry share.Entry, first bool, into map[string]steer.Memory) {
	s, ok := e.core.Plan.Config.Service(entry.Target)
	if !ok || entry.Deleted {
		return
	}
	var u inUse
	if err := json.Unmarshal(entry.Value, &u); err != nil || len(u.Memory.Regions) != len(u.Memory.Pools) {
		e.odd(entry, fmt.Errorf("not how a service stands: %w", err))
		return
	}
	i, ok := e.core.snap.Plan.Find(entry.Target)
	if !ok {
		return
	}
	own := &e.core.snap.State(i).Memory
	switch {
	case askedLater(own, &u.Memory): // here, while another resolver wrote
		e.sharing.uses[entry.Target] = true
	case first, s.Failback.Manual, askedLater(&u.Memory, own):
		into[entry.Target] = u.Memory
	}
}

// askedLater reports whether a knows of a failback that an operator asked for, and
// b does not yet.
func askedLater(a, b *steer.Memory) bool {
	for p := range a.Pools {
		q := slices.Index(b.Regions, a.Regions[p])
		if q >= 0 && a.Pools[p].Asked.After(b.Pools[q].Asked) {
			return true
		}
	}
	return false
}

// usesAtOnce is how many pools in use are told in one write. In a region's failure
// all resolvers have the same to tell: each begins elsewhere, and leaves out what
// another said meanwhile.
const usesAtOnce = 64

// noteUse notes which services a publish changed, to be told by tellUse.
func (e *Engine) noteUse(old *Published, s *steer.Snapshot) {
	if e.sharing == nil || old == nil || old.Snapshot.Plan != s.Plan {
		return
	}
	for _, i := range s.Built {
		if !old.State(i).Memory.Stands(&s.State(i).Memory) {
			e.sharing.uses[s.Plan.Services[i].Name] = true
		}
	}
}

// tellUse tells the others how some of the services stand that changed. It is
// called once a second.
func (e *Engine) tellUse() {
	s := e.core.snap
	var list []share.Record
	for name := range e.sharing.uses { // in an order of its own
		if len(list) == usesAtOnce {
			break
		}
		delete(e.sharing.uses, name)
		i, ok := s.Plan.Find(name)
		if !ok || e.saidInUse(name, &s.State(i).Memory) {
			continue
		}
		if r, ok := e.next(share.InUse, name, inUse{s.State(i).Memory}, 0); ok {
			list = append(list, r)
		}
	}
	if len(list) > 0 {
		e.sharing.hand(list)
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

// saidInUse reports whether the shared record says that a service stands as m does.
func (e *Engine) saidInUse(service string, m *steer.Memory) bool {
	entry, ok := e.ledger.Get(share.InUse, service)
	var known inUse
	return ok && json.Unmarshal(entry.Value, &known) == nil && known.Memory.Stands(m)
}
