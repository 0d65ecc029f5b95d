package consul

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// The session's times. Consul takes no TTL below 10 s, and ends a session after
// one to two of them: twenty seconds after the last renewal, and as much again
// when its leader changes.
const (
	sessionTTL   = "10s"
	renewEvery   = 3 * time.Second
	lockDelay    = time.Millisecond // none: without it a restarted observer waits 15 s more
	writeTimeout = 5 * time.Second
	// settled is how long after a write a read may still show what was before:
	// stale reads may be that old.
	settled = maxContact + time.Second
)

// written is what became of writing. Share.mu guards it.
type written struct {
	asked   int       // calls of Publish that the last attempt heard of
	err     error     // of that attempt
	at      time.Time // of the last write
	session string
	values  map[string]value // by key; what is not here is to be written
}

var (
	errStill = errors.New("nothing is published while probes stand still")
	errHeld  = errors.New("after a crash its name is free within 20 s; otherwise another resolver has the same name, or one datacenter is listed twice")
)

// keep holds the session and writes what is wanted, until Close.
func (st *store) keep() {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		renew := false
		select {
		case <-st.kick:
		case <-tick.C:
			renew = true
		case <-st.s.ctx.Done():
			return
		}
		st.s.mu.Lock()
		want, asked := st.s.want, st.s.asked
		st.s.mu.Unlock()
		if !want.any {
			continue
		}
		err := st.hold(st.s.ctx, &want, renew)
		st.s.mu.Lock()
		st.written.asked, st.written.err = asked, err
		if !errors.Is(err, errStill) { // which is told elsewhere
			st.note(writing, err)
		}
		announce(&st.s.wrote)
		st.s.mu.Unlock()
	}
}

// wake has the keeper write.
func (st *store) wake() {
	select {
	case st.kick <- struct{}{}:
	default:
	}
}

// hold makes the store hold what is wanted, under a session that lives.
func (st *store) hold(ctx context.Context, want *wanted, renew bool) error {
	if !st.s.alive() {
		return errStill // what is there vanishes with the session
	}
	if renew {
		if err := st.renew(ctx); err != nil {
			return err
		}
	}
	again, err := st.attempt(ctx, want)
	if again {
		_, err = st.attempt(ctx, want)
	}
	return err
}

// attempt writes, and reports whether to do it again with another session: without
// one that lives nothing is locked.
func (st *store) attempt(ctx context.Context, want *wanted) (again bool, err error) {
	locked, why, err := st.lock(ctx, want)
	if locked || err != nil {
		return false, err
	}
	if err := st.renew(ctx); err != nil {
		return false, err
	}
	if strings.Contains(why, denied) {
		return false, fmt.Errorf("%s: %w: %s", st.at.Name, ErrDenied, why)
	}
	return st.session == "", fmt.Errorf("%s: %s: %w", st.at.Name, why, errHeld)
}

// lock writes under the session, which it makes if there is none. It reports
// whether the keys are the session's.
func (st *store) lock(ctx context.Context, want *wanted) (locked bool, why string, err error) {
	if err := st.begin(ctx); err != nil {
		return false, "", err
	}
	return st.write(ctx, want)
}

// renew keeps the session if there is one, or learns that it is gone.
func (st *store) renew(ctx context.Context) error {
	if st.session == "" {
		return nil
	}
	return st.use(ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		entry, _, err := c.Session().Renew(st.session, (&api.WriteOptions{}).WithContext(ctx))
		if err == nil && entry == nil {
			st.session = ""
		}
		return err
	})
}

// begin makes a session if there is none. It is bound to no check of its node: that
// an agent is thought to be ill says nothing about this observer.
func (st *store) begin(ctx context.Context) error {
	if st.session != "" {
		return nil
	}
	return st.use(ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		id, _, err := c.Session().CreateNoChecks(&api.SessionEntry{
			Name: "detour/" + st.s.o.Cluster + "/" + st.s.o.Observer, TTL: sessionTTL, LockDelay: lockDelay, Behavior: api.SessionBehaviorDelete,
		}, (&api.WriteOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		st.session = id
		st.s.mu.Lock()
		st.written.session, st.written.values = id, map[string]value{}
		st.s.mu.Unlock()
		return nil
	})
}

// write writes what differs from what the store holds, both keys at once or none.
func (st *store) write(ctx context.Context, want *wanted) (locked bool, why string, err error) {
	ops, values := st.differences(want)
	if len(ops) == 0 {
		return true, "", nil
	}
	locked, why, err = st.commit(ctx, ops)
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.written.at = time.Now() // it may have been done although no answer came
	for key, value := range values {
		delete(st.written.values, key)
		if locked {
			st.written.values[key] = value
		}
	}
	if locked {
		st.writes.Add(1)
	}
	return locked, why, err
}

// differences returns the operations that make the store hold what is wanted, and
// the values they write.
func (st *store) differences(want *wanted) (ops api.TxnOps, values map[string]value) {
	values = want.values(st.s.keys, st.s.o.Zone, st.s.o.Observer, time.Now())
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	for key, v := range values {
		if old, ok := st.written.values[key]; ok && old.version == v.version {
			delete(values, key)
			continue
		}
		ops = append(ops, &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVLock, Key: key, Value: v.bytes, Session: st.session}})
	}
	return ops, values
}

// verify compares what a read that began at an instant found of this observer with
// what was written, and has it written again: a restored snapshot, an operator or
// a fault may have changed it. The caller holds Share.mu.
func (st *store) verify(began time.Time, key string, pair *api.KVPair) {
	want, ok := st.written.values[key]
	if !ok || began.Sub(st.written.at) < settled {
		return
	}
	if pair != nil && pair.Session == st.written.session && bytes.Equal(pair.Value, want.bytes) {
		return
	}
	delete(st.written.values, key)
	st.wake()
}

// leave ends the session, and with it what it holds.
func (st *store) leave(ctx context.Context) error {
	defer st.hangUp()
	if st.session == "" {
		return nil
	}
	return st.use(ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		_, err := c.Session().Destroy(st.session, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
}

func (st *store) hangUp() {
	st.connecting.Lock()
	via := st.via
	st.connecting.Unlock()
	st.disconnect(via)
}
