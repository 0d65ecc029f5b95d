package engine

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

// takeHand puts in force what an operator decided at another resolver. It reports
// whether that changed anything.
func (e *Engine) takeHand(entry share.Entry, now time.Time) bool {
	who := byResolver + entry.Version.Writer
	if entry.Kind == share.Freeze {
		return e.takeFreeze(entry, who, now)
	}
	if !entry.Live(now) {
		o, ok := e.hands.overrides[entry.Target]
		if !ok || ended(o.Until, time.Time{}, now) {
			delete(e.hands.overrides, entry.Target)
			return false
		}
		e.forgetOverride(entry.Target, who, entry.Version.Over)
		return true
	}
	var o steer.Override
	if err := json.Unmarshal(entry.Value, &o); err != nil || o.Target != entry.Target || o.Reason == "" || !o.Kind.Known() {
		e.odd(entry, err)
		return false
	}
	o.Until, o.From = entry.Ends(), ""
	e.setOverride(o, who)
	return true
}

func (e *Engine) takeFreeze(entry share.Entry, who string, now time.Time) bool {
	target := strings.TrimSuffix(entry.Target, freezeKey(""))
	if !entry.Live(now) {
		f, ok := e.hands.freezes[freezeKey(target)]
		if !ok || ended(f.Until, time.Time{}, now) {
			delete(e.hands.freezes, freezeKey(target))
			return false
		}
		e.forgetFreeze(target, who, entry.Version.Over)
		return true
	}
	var f steer.Freeze
	if err := json.Unmarshal(entry.Value, &f); err != nil || f.Target != target || entry.TTL <= 0 {
		e.odd(entry, err)
		return false
	}
	f.Until = entry.Ends()
	e.setFreeze(f, who)
	return true
}

// odd says that a record is not what it should be.
func (e *Engine) odd(entry share.Entry, err error) {
	e.log.Warn("record of another resolver ignored: it is not what it says it is", "record", entry.Key(), "writer", entry.Version.Writer, "error", err)
}

// heal writes again, in a while, what a store lost, unless somebody else did.
func (s *sharing) heal(lost []share.Record) {
	s.later(&s.healing, func() {
		again := lost[:0]
		for _, r := range lost { // in the version of now
			if entry, ok := s.e.ledger.Get(r.Kind, r.Target); ok {
				again = append(again, entry.Record)
			}
		}
		s.hand(again)
	})
}

// endThem tells the stores, in a while, which records are over, unless somebody else
// did: a resolver that starts would find them and obey them from then. What is
// decided here meanwhile wins, so that nothing is noted here before it is read.
func (s *sharing) endThem() {
	if time.Since(s.endDenied) < deniedEvery {
		return
	}
	s.later(&s.ending, func() {
		if over := s.e.ledger.Over(time.Now()); len(over) > 0 {
			s.hand(over)
		}
	})
}

// later runs f on the loop within healAfter, at random, so that of many resolvers
// one comes first. busy is set until then.
func (s *sharing) later(busy *bool, f func()) {
	if *busy {
		return
	}
	*busy = true
	s.wg.Go(func() {
		if s.pause(rand.N(healAfter)) {
			_ = s.e.Do(func(*Core) { *busy = false; f() })
		}
	})
}

// someOver reports whether any of these records says that one is over. What else
// was refused with it is found missing, and is refused again without it.
func someOver(list []share.Record) bool {
	return slices.ContainsFunc(list, func(r share.Record) bool { return r.Version.Over })
}

// record returns what is to be on disk of the decision that a shared record is
// about, ok if it is about one.
func (h *hands) record(key string) (r state.Record, ok bool) {
	kind, target, _ := strings.Cut(key, "/")
	r.Key = target
	switch kind {
	case share.Override:
		r.Bucket = state.Overrides
		if o, ok := h.overrides[target]; ok {
			r.Value = o
		}
	case share.Freeze:
		r.Bucket = state.Freezes
		if f, ok := h.freezes[target]; ok {
			r.Value = f
		}
	default:
		return r, false
	}
	return r, true
}

// forgetLifted drops from what was on disk what others lifted while the disk was
// away, as far as they were heard.
func (e *Engine) forgetLifted(kept *hands) {
	gone := func(kind, target string) bool {
		entry, known := e.ledger.Get(kind, target)
		return known && entry.Deleted
	}
	maps.DeleteFunc(kept.overrides, func(t string, _ steer.Override) bool { return gone(share.Override, t) })
	maps.DeleteFunc(kept.freezes, func(t string, _ steer.Freeze) bool { return gone(share.Freeze, t) })
}
