package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
)

const (
	chunk = 64 // operations that Consul takes in one transaction
	tries = 5  // of one, when others write the same records
)

// Records implements share.Share. Of a record that several stores hold, the highest
// version is returned. It returns whenever a store was read, which is within 11 s
// and after each change.
func (s *Share) Records(ctx context.Context) ([]share.Record, error) {
	s.list.start()
	return await(ctx, s, s.records)
}

// records is one look at what was read. The caller holds the lock.
func (s *Share) records(time.Time) (out []share.Record, done bool, err error) {
	if !s.healthy(inCtl) {
		done, err = s.failed(&s.listed, inCtl)
		return nil, done, err
	}
	if !s.anew(&s.listed, inCtl) {
		return nil, false, nil
	}
	s.listed.good = s.reads()
	best := s.best()
	out = make([]share.Record, 0, len(best))
	for _, name := range slices.Sorted(maps.Keys(best)) {
		out = append(out, *best[name])
	}
	return out, true, nil
}

// best returns of each record the highest version that a store held, when it was read
// last, by name. The caller holds the lock.
func (s *Share) best() map[string]*share.Record {
	best := map[string]*share.Record{}
	for _, st := range s.stores {
		for name, e := range st.parts[inCtl].entries {
			if old := best[name]; old == nil || old.Version.Less(e.record.Version) {
				best[name] = e.record
			}
		}
	}
	return best
}

// Put implements share.Share. It returns nil as soon as one store holds each record
// in this version or a higher one; the others go on being written, and one that
// hangs delays no later decision: what it lacks it is given when it is back. The
// error has ErrDenied in it if the token is not an operator's. A higher version is
// never replaced, whoever writes at the same time. What no store could hold (too
// large, of no known kind) is logged and left out: to ask again would not help.
func (s *Share) Put(ctx context.Context, list []share.Record) error {
	values := s.encode(list)
	results := make(chan error, len(s.stores))
	for _, st := range s.stores {
		if !s.begin(func() { results <- st.putAlone(values) }) {
			return errClosed
		}
	}
	var errs []error
	for range s.stores {
		select {
		case err := <-results:
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		case <-ctx.Done():
			return errors.Join(append(errs, ctx.Err())...)
		}
	}
	return errors.Join(errs...)
}

// record is one that is to be stored.
type record struct {
	kind    string
	key     string // the whole one
	name    string // the part of it after ctl/
	version share.Version
	value   []byte
	decode  func(name string, value []byte) (share.Record, error)
}

// encode returns what is stored, of each key the highest version.
func (s *Share) encode(list []share.Record) (out []record) {
	best := map[string]record{}
	for i := range list {
		value, err := encodeRecord(&list[i])
		if err != nil {
			s.log.Error("a decision is not shared with other resolvers", "kind", list[i].Kind, "target", list[i].Target, "error", err)
			continue
		}
		name := recordName(list[i].Kind, list[i].Target)
		if old, ok := best[name]; !ok || old.version.Less(list[i].Version) {
			best[name] = record{list[i].Kind, s.keys.base + prefixes[inCtl] + name, name, list[i].Version, value, decodeRecord}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(best)) {
		out = append(out, best[name])
	}
	return out
}

// putAlone stores records, unless an earlier Put still waits for this store.
func (st *store) putAlone(list []record) error {
	if !st.putting.TryLock() {
		return fmt.Errorf("%s: has not answered to what was decided before", st.at.Name)
	}
	defer st.putting.Unlock()
	return st.put(st.s.ctx, list)
}

// put stores records in one store. That a token may not write those of one kind
// keeps none of another kind from being written.
func (st *store) put(ctx context.Context, list []record) error {
	var refused []error
	for len(list) > 0 {
		n := 1
		for n < min(len(list), chunk) && list[n].kind == list[0].kind {
			n++
		}
		err := st.putChunk(ctx, list[:n])
		if err != nil && !errors.Is(err, ErrDenied) {
			return err
		}
		if err != nil {
			refused = append(refused, err)
		}
		list = list[n:]
	}
	return errors.Join(refused...)
}

// putChunk reads what is there and writes what is higher, on the condition that
// nobody wrote in between.
func (st *store) putChunk(ctx context.Context, list []record) error {
	for range tries {
		found, err := st.get(ctx, list)
		if err != nil {
			return err
		}
		ops := higher(list, found)
		if len(ops) == 0 {
			return nil
		}
		done, why, err := st.commit(ctx, ops)
		switch {
		case err != nil:
			return err
		case done:
			st.writes.Add(1)
			return nil
		case strings.Contains(why, denied):
			return fmt.Errorf("%s: %w: %s", st.at.Name, ErrDenied, why)
		}
	}
	return fmt.Errorf("%s: others write the same records all the time", st.at.Name)
}

// get reads records from the leader.
func (st *store) get(ctx context.Context, list []record) (found api.TxnResults, err error) {
	var ops api.TxnOps
	for _, r := range list {
		ops = append(ops, &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: r.key}})
	}
	err = st.use(ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		ok, resp, _, err := c.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		if why := firstError(resp); !ok && why != "" {
			return errors.New(why)
		}
		if !ok || len(resp.Results) != len(list) || slices.Contains(resp.Results, nil) {
			return fmt.Errorf("the token may read %d records of %d", len(resp.Results), len(list))
		}
		found = resp.Results
		return nil
	})
	return found, err
}

// higher returns the operations that write what is of a higher version than what
// was found. What was found damaged, or of a version that nobody could have come to,
// is written anew.
func higher(list []record, found api.TxnResults) (ops api.TxnOps) {
	for i, r := range list {
		op := &api.KVTxnOp{Verb: api.KVCAS, Key: r.key, Value: r.value}
		if kv := found[i].KV; kv != nil {
			op.Index = kv.ModifyIndex
			if old, err := r.decode(r.name, kv.Value); err == nil && old.Version.Follows(r.version) && !old.Version.Less(r.version) {
				continue
			}
		}
		ops = append(ops, &api.TxnOp{KV: op})
	}
	return ops
}
