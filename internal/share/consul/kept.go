package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
)

// Bounds of what guards keep in common. A zone has a megabyte or two.
const (
	maxKept     = 16 << 10  // bytes of a record
	maxNames    = 1000      // records of a zone
	maxBatch    = 256 << 10 // bytes of one write
	keptApart   = 5 * time.Second
	keptAllOver = 10 * time.Minute // between looks at other zones
)

// kept is what a store held of what guards keep. Share.mu guards it.
type kept struct {
	here, elsewhere map[string]share.Record // by digest, and by zone and digest
	changes         int
	failed          bool
}

// digestForm is that of the targets of what guards keep.
var digestForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Keep implements share.Keeper. It returns nil once one store holds each record in
// this version or a higher one.
func (s *Share) Keep(ctx context.Context, list []share.Record) error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	var values []record
	for i := range list {
		value, err := encodeKept(&list[i])
		if err != nil {
			s.log.Warn("what is kept of a name is not shared", "error", err)
			continue
		}
		r := &list[i]
		values = append(values, record{r.Kind, s.keys.kept(s.o.Zone) + r.Target, r.Target, r.Version, value, decodeKept})
	}
	errs := make([]error, len(s.stores))
	var wg sync.WaitGroup
	for i, st := range s.stores {
		wg.Go(func() { errs[i] = st.putKept(ctx, values) })
	}
	wg.Wait()
	if slices.Contains(errs, nil) {
		return nil
	}
	return errors.Join(errs...)
}

// putKept writes in batches that Consul takes.
func (st *store) putKept(ctx context.Context, list []record) error {
	for len(list) > 0 {
		n, size := 1, len(list[0].value)
		for n < min(len(list), chunk) && size+len(list[n].value) <= maxBatch {
			size += len(list[n].value)
			n++
		}
		if err := st.putChunk(ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// Kept implements share.Keeper. Of a record that several stores hold, the highest
// version is returned.
func (s *Share) Kept(ctx context.Context) (share.Stock, error) {
	s.stock.start()
	return await(ctx, s, s.stocked)
}

// stocked is one look at what was read. The caller holds the lock.
func (s *Share) stocked(time.Time) (out share.Stock, done bool, err error) {
	changes := 0
	here, elsewhere := map[string]share.Record{}, map[string]share.Record{}
	for _, st := range s.stores {
		changes += st.kept.changes
		highest(here, st.kept.here)
		highest(elsewhere, st.kept.elsewhere)
	}
	if changes == s.took {
		return out, false, nil
	}
	s.took = changes
	return share.Stock{Here: ordered(here), Elsewhere: ordered(elsewhere)}, true, nil
}

// highest adds records to those of other stores.
func highest(best, more map[string]share.Record) {
	for key, r := range more {
		if old, ok := best[key]; !ok || old.Version.Less(r.Version) {
			best[key] = r
		}
	}
}

func ordered(list map[string]share.Record) []share.Record {
	out := make([]share.Record, 0, len(list))
	for _, key := range slices.Sorted(maps.Keys(list)) {
		out = append(out, list[key])
	}
	return out
}

// readKept reads what the guards of this zone keep whenever that changes, and now
// and then what those of the others do, until Close.
func (st *store) readKept() {
	select {
	case <-st.s.stock.on:
	case <-st.s.ctx.Done():
		return
	}
	r := keptReader{}
	for {
		began := time.Now()
		pairs, all, err := st.nextKept(&r, began)
		if st.s.ctx.Err() != nil {
			return
		}
		st.deliverKept(pairs, all, err)
		if !st.pause(time.Until(began.Add(keptApart)), r.failures) {
			return
		}
	}
}

// keptReader is how far the reading of what guards keep is.
type keptReader struct {
	index    uint64
	failures int
	over     time.Time // when all zones were read
}

// nextKept waits for a change in this zone, or reads all zones when that is due.
func (st *store) nextKept(r *keptReader, now time.Time) (pairs api.KVPairs, all bool, err error) {
	if all = r.over.IsZero() || now.Sub(r.over) > keptAllOver; !all {
		pairs, r.index, err = st.query(st.s.keys.kept(st.s.o.Zone), r.index)
	} else if pairs, _, err = st.query(st.s.keys.base+"kept/", 0); err == nil {
		r.over, r.index = now, 0
	}
	if r.failures++; err == nil {
		r.failures = 0
	}
	return pairs, all, err
}

// deliverKept takes in what was read: of this zone, or of all.
func (st *store) deliverKept(pairs api.KVPairs, all bool, err error) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.noteKept(err); err != nil {
		return
	}
	here, elsewhere := st.siftKept(pairs)
	if !all {
		elsewhere = st.kept.elsewhere
	}
	if st.kept.changes > 0 && maps.EqualFunc(here, st.kept.here, same) && maps.EqualFunc(elsewhere, st.kept.elsewhere, same) {
		return
	}
	st.kept.here, st.kept.elsewhere = here, elsewhere
	st.kept.changes++
	announce(&st.s.news)
}

// noteKept says when reading begins to fail, and when that ends. The caller holds
// the lock.
func (st *store) noteKept(err error) {
	failed := err != nil
	switch {
	case failed && !st.kept.failed:
		st.log.Warn("what guards keep in common is not read here", "error", err)
	case !failed && st.kept.failed:
		st.log.Info("what guards keep in common is read here again")
	}
	st.kept.failed = failed
}

// siftKept decodes what is sound: of this zone, and of all others.
func (st *store) siftKept(pairs api.KVPairs) (here, elsewhere map[string]share.Record) {
	here, elsewhere = map[string]share.Record{}, map[string]share.Record{}
	for _, pair := range pairs {
		digest, mine := strings.CutPrefix(pair.Key, st.s.keys.kept(st.s.o.Zone))
		into := here
		if !mine {
			digest = pair.Key[strings.LastIndexByte(pair.Key, '/')+1:]
			into = elsewhere
		}
		r, err := decodeKept(digest, pair.Value)
		if old, ok := into[digest]; err == nil && len(into) < maxNames*maxStores && (!ok || old.Version.Less(r.Version)) {
			into[digest] = r
		}
	}
	return here, elsewhere
}

func same(a, b share.Record) bool { return a.Version == b.Version && bytes.Equal(a.Value, b.Value) }

// encodeKept writes only what decodeKept would believe.
func encodeKept(r *share.Record) ([]byte, error) {
	if err := faultyKept(r); err != nil {
		return nil, err
	}
	value, err := json.Marshal(r)
	if err == nil && len(value) > maxKept {
		err = fmt.Errorf("%d bytes are more than %d", len(value), maxKept)
	}
	return value, err
}

// decodeKept trusts nothing, and takes a record only from the key that is its own.
// What is in its value is the guard's to judge.
func decodeKept(digest string, value []byte) (r share.Record, err error) {
	if err = decode(value, maxKept, &r); err != nil {
		return r, err
	}
	if r.Target != digest {
		return r, errors.New("a record of something else")
	}
	return r, faultyKept(&r)
}

func faultyKept(r *share.Record) error {
	if r.Kind != share.Kept || !digestForm.MatchString(r.Target) {
		return fmt.Errorf("a record of kind %q without a digest", r.Kind)
	}
	return faultyVersion(r)
}
