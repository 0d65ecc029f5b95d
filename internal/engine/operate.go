package engine

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/state"
	"github.com/detour-dns/detour/internal/steer"
)

// hands is what operators decided at run time, by the keys that they have on disk.
type hands struct {
	overrides map[string]steer.Override
	freezes   map[string]steer.Freeze
	files     handFiles
}

func (h *hands) list() ([]steer.Override, []steer.Freeze) {
	var o []steer.Override
	for _, k := range slices.Sorted(maps.Keys(h.overrides)) {
		o = append(o, h.overrides[k])
	}
	o = append(o, h.files.list()...)
	var f []steer.Freeze
	for _, k := range slices.Sorted(maps.Keys(h.freezes)) {
		f = append(f, h.freezes[k])
	}
	return o, f
}

// ErrNotKept says that an operator's decision is in force, but would be lost by
// a restart.
var ErrNotKept = errors.New("in force, but not on disk: a restart would forget it")

// PutOverride sets the override on o.Target for who, the peer that asks, and has
// it on disk when it returns nil.
func (e *Engine) PutOverride(o steer.Override, who string) error {
	return e.change(func() state.Record {
		if old, ok := e.hands.overrides[o.Target]; ok {
			o = o.After(&old, time.Now())
		}
		e.setOverride(o, who)
		e.shared(share.Override, o.Target, o, lasts(o.Until))
		return state.Record{Bucket: state.Overrides, Key: o.Target, Value: o}
	})
}

// DeleteOverride lifts the override on a target.
func (e *Engine) DeleteOverride(target, who string) error {
	return e.change(func() state.Record {
		e.forgetOverride(target, who, false)
		e.shared(share.Override, target, nil, 0)
		return state.Record{Bucket: state.Overrides, Key: target}
	})
}

// PutFreeze stops automation on f.Target.
func (e *Engine) PutFreeze(f steer.Freeze, who string) error {
	return e.change(func() state.Record {
		e.setFreeze(f, who)
		e.shared(share.Freeze, freezeKey(f.Target), f, lasts(f.Until))
		return state.Record{Bucket: state.Freezes, Key: freezeKey(f.Target), Value: f}
	})
}

// DeleteFreeze lets automation go on.
func (e *Engine) DeleteFreeze(target, who string) error {
	return e.change(func() state.Record {
		e.forgetFreeze(target, who, false)
		e.shared(share.Freeze, freezeKey(target), nil, 0)
		return state.Record{Bucket: state.Freezes, Key: freezeKey(target)}
	})
}

// setOverride, forgetOverride, setFreeze and forgetFreeze change what is decided,
// and tell it. What is forgotten was lifted, or is over for another resolver.
func (e *Engine) setOverride(o steer.Override, who string) {
	if now := time.Now(); o.Made.After(now) { // by a clock that is ahead: it would be the youngest for ever
		o.Made = now
	}
	e.tellOverride(&o, who)
	if e.hands.overrides == nil {
		e.hands.overrides = map[string]steer.Override{}
	}
	e.hands.overrides[o.Target] = o
	e.disk.unlike = true
}

func (e *Engine) forgetOverride(target, who string, over bool) {
	e.tellHand(journal.Override, target, "override on "+people(target)+lifted(over), "", who)
	delete(e.hands.overrides, target)
	e.disk.unlike = true
}

func (e *Engine) setFreeze(f steer.Freeze, who string) {
	text := "freeze of " + orAll(f.Target) + " by " + f.Owner + lasting(f.Until, time.Now())
	if old, ok := e.hands.freezes[freezeKey(f.Target)]; ok && time.Now().Before(old.Until) {
		text += ", in place of that by " + old.Owner + lasting(old.Until, time.Now())
	}
	e.tellHand(journal.Freeze, f.Target, text, f.Reason, who)
	if e.hands.freezes == nil {
		e.hands.freezes = map[string]steer.Freeze{}
	}
	e.hands.freezes[freezeKey(f.Target)] = f
	e.disk.unlike = true
}

func (e *Engine) forgetFreeze(target, who string, over bool) {
	e.tellHand(journal.Freeze, target, "freeze of "+orAll(target)+lifted(over), "", who)
	delete(e.hands.freezes, freezeKey(target))
	e.disk.unlike = true
}

// lasts is how long a decision lasts from now on, 0 if it has no end.
func lasts(until time.Time) time.Duration {
	if until.IsZero() {
		return 0
	}
	return max(time.Until(until), time.Nanosecond)
}

// freezeKey is the target as a key, which must not be empty.
func freezeKey(target string) string {
	if target == "" {
		return "*"
	}
	return target
}

// failback is the value of the record of one.
type failback struct {
	Now bool `json:"now,omitempty"` // without a ramp
}

// Asked is what a failback found.
type Asked struct {
	Pools int      // that return here
	Split []string // services that other zones use differently, by name: what returns is there
}

// Failback lets the returning pools of a target take their traffic now, atOnce
// without a ramp. Other resolvers do the same.
func (e *Engine) Failback(target string, atOnce bool, who string) (asked Asked, err error) {
	err = e.Do(func(c *Core) {
		asked = Asked{c.AskFailback(target, atOnce, time.Now()), e.splitOf(target)}
		e.shared(share.Failback, freezeKey(target), failback{atOnce}, 0)
		e.tellHand(journal.Failback, target, "failback of "+orAll(target)+" asked for, "+many(asked.Pools, "pool returns", "pools return"), "", who)
		e.publish(time.Now())
	})
	return asked, err
}

// change applies an operator's decision and then keeps it: in an outage it must
// act even if the disk does not.
func (e *Engine) change(f func() state.Record) error {
	var result <-chan error
	var err error
	derr := e.Do(func(c *Core) {
		r := f()
		e.forgetEnded(time.Now())
		c.SetHands(e.hands.list())
		e.publish(time.Now())
		if e.disk.store == nil {
			err = errors.New(e.disk.lost)
			return
		}
		result, err = e.write(r)
	})
	if derr != nil {
		return derr
	}
	return kept(result, err)
}

// forgetEnded drops decisions that ended long enough ago for nobody to ask.
func (e *Engine) forgetEnded(now time.Time) {
	const after = 24 * time.Hour
	maps.DeleteFunc(e.hands.overrides, func(_ string, o steer.Override) bool {
		return !o.Until.IsZero() && now.Sub(o.Until) > after
	})
	maps.DeleteFunc(e.hands.freezes, func(_ string, f steer.Freeze) bool { return now.Sub(f.Until) > after })
}

// Hands returns the overrides and freezes in force, the file's included.
func (e *Engine) Hands() (o []steer.Override, f []steer.Freeze) {
	_ = e.Do(func(c *Core) {
		now := time.Now()
		o = slices.DeleteFunc(slices.Clone(c.overrides), func(x steer.Override) bool {
			return !x.Until.IsZero() && !now.Before(x.Until)
		})
		f = slices.DeleteFunc(slices.Clone(c.freezes), func(x steer.Freeze) bool { return !now.Before(x.Until) })
	})
	return o, f
}
