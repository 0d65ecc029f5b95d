package consul

import (
	"bytes"
	"cmp"
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
	maxNames    = 1000      // records of an observer
	maxKeepers  = 64        // observers of a zone
	maxBatch    = 256 << 10 // bytes of one write
	maxKeptBy   = 4 << 20   // bytes of what one observer keeps
	maxKeptIn   = 32 << 20  // and of what a zone does
	keptApart   = 5 * time.Second
	keptAllOver = 10 * time.Minute // between looks at other zones
)

// kept is what a store held of what guards keep. Share.mu guards it.
type kept struct {
	here, elsewhere map[keptAt]share.Record
	crowded         bool // told that an observer keeps more than is read
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
		value, err := encodeKept(&list[i], s.o.Zone, s.o.Observer)
		if err != nil {
			s.log.Warn("what is kept of a name is not shared", "error", err)
			continue
		}
		r := &list[i]
		at := keptAt{s.o.Zone, s.o.Observer, r.Target}
		values = append(values, record{r.Kind, s.keys.keptBy(at.zone, at.observer) + at.digest, r.Target, r.Version, value, func(_ string, value []byte) (share.Record, error) {
			return decodeKept(at, value)
		}})
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
	here, elsewhere := map[keptAt]share.Record{}, map[keptAt]share.Record{}
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
func highest(best, more map[keptAt]share.Record) {
	for key, r := range more {
		if old, ok := best[key]; !ok || old.Version.Less(r.Version) {
			best[key] = r
		}
	}
}

func ordered(list map[keptAt]share.Record) []share.Record {
	out := make([]share.Record, 0, len(list))
	for _, at := range slices.SortedFunc(maps.Keys(list), func(a, b keptAt) int {
		return cmp.Or(cmp.Compare(a.digest, b.digest), cmp.Compare(a.zone, b.zone), cmp.Compare(a.observer, b.observer))
	}) {
		out = append(out, list[at])
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
	own := st.s.keys.kept(st.s.o.Zone)
	if all = r.over.IsZero() || now.Sub(r.over) > keptAllOver; !all {
		pairs, r.index, err = st.zoneKept(own, r.index)
	} else if pairs, err = st.allKept(); err == nil {
		r.over, r.index = now, 0
	}
	if r.failures++; err == nil {
		r.failures = 0
	}
	return pairs, all, err
}

// allKept reads what the guards of all zones keep.
func (st *store) allKept() (pairs api.KVPairs, err error) {
	zones, _, err := st.elements(st.s.keys.base+"kept/", 0)
	for _, zone := range zones {
		if err != nil {
			return nil, err
		}
		var more api.KVPairs
		more, _, err = st.zoneKept(zone, 0)
		pairs = append(pairs, more...)
	}
	return pairs, err
}

// zoneKept reads what the guards of a zone keep, each observer's apart: one that writes
// without bounds keeps nobody from reading the others.
func (st *store) zoneKept(zone string, index uint64) (pairs api.KVPairs, next uint64, err error) {
	observers, next, err := st.elements(zone, index)
	if err != nil {
		return nil, 0, err
	}
	living := st.living()
	putFirst(observers, func(prefix string) bool { // those who are gone silence nobody who lives
		_, lives := living[strings.TrimSuffix(strings.TrimPrefix(prefix, st.s.keys.base+"kept/"), "/")]
		return lives
	})
	left := maxKeptIn
	for _, observer := range observers[:min(len(observers), maxKeepers)] {
		more, _, err := st.query(observer, 0)
		switch {
		case err == nil:
			pairs = append(pairs, inRoom(more, &left)...)
		case strings.Contains(err.Error(), errTooLong.Error()):
			st.crowded(observer)
		default:
			return nil, 0, err
		}
	}
	return pairs, next, nil
}

// inRoom returns what one observer has room for, of that which is left of its zone's.
func inRoom(pairs api.KVPairs, left *int) (out api.KVPairs) {
	room := min(*left, maxKeptBy)
	for _, p := range pairs {
		if len(p.Value) <= min(room, maxKept) {
			room -= len(p.Value)
			*left -= len(p.Value)
			out = append(out, p)
		}
	}
	return out
}

// crowded tells once that an observer keeps more than is read.
func (st *store) crowded(observer string) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if !st.kept.crowded {
		st.kept.crowded = true
		st.log.Warn("an observer keeps more of guarded names than is read: it is left out", "under", observer)
	}
}

// elements asks once which elements of a path come next behind a prefix. It is query
// but for that.
func (st *store) elements(prefix string, index uint64) (prefixes []string, next uint64, err error) {
	limit := st.s.wait + graceTime - apart
	if index == 0 {
		limit = freshLimit
	}
	err = st.use(st.s.ctx, limit, func(ctx context.Context, c *api.Client) error {
		q := &api.QueryOptions{AllowStale: true, WaitIndex: index, WaitTime: st.s.wait}
		found, meta, err := c.KV().Keys(prefix, "/", q.WithContext(ctx))
		if err != nil {
			return err
		}
		if meta.LastIndex >= index {
			next = meta.LastIndex
		}
		prefixes = slices.DeleteFunc(found, func(key string) bool { return !strings.HasSuffix(key, "/") || key == prefix })
		return trusted(meta)
	})
	if err != nil {
		return nil, 0, err
	}
	return prefixes, next, nil
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

// siftKept decodes what is sound: of this zone, and of all others. An observer has room
// for its own records, and takes none of another's.
func (st *store) siftKept(pairs api.KVPairs) (here, elsewhere map[keptAt]share.Record) {
	here, elsewhere = map[keptAt]share.Record{}, map[keptAt]share.Record{}
	count := map[keptAt]int{}
	for _, pair := range pairs {
		at, ok := st.s.keys.parseKept(pair.Key)
		who := keptAt{zone: at.zone, observer: at.observer}
		if !ok || count[who] >= maxNames {
			continue
		}
		r, err := decodeKept(at, pair.Value)
		if err != nil {
			continue
		}
		if count[who]++; at.zone == st.s.o.Zone {
			here[at] = r
		} else {
			elsewhere[at] = r
		}
	}
	return here, elsewhere
}

func same(a, b share.Record) bool { return a.Version == b.Version && bytes.Equal(a.Value, b.Value) }

// keptRecord is what is stored. The zone is said twice, for what is copied to another
// key is of nobody.
type keptRecord struct {
	share.Record
	Zone string `json:"zone"`
}

// encodeKept writes only what decodeKept would believe.
func encodeKept(r *share.Record, zone, observer string) ([]byte, error) {
	k := keptRecord{*r, zone}
	if err := k.faulty(keptAt{zone, observer, r.Target}); err != nil {
		return nil, err
	}
	value, err := json.Marshal(k)
	if err == nil && len(value) > maxKept {
		err = fmt.Errorf("%d bytes are more than %d", len(value), maxKept)
	}
	return value, err
}

// decodeKept trusts nothing, and takes a record only from the key that is its own: of
// its zone, its writer and its target. What is in its value is the guard's to judge.
func decodeKept(at keptAt, value []byte) (share.Record, error) {
	var k keptRecord
	err := decode(value, maxKept, &k)
	if err == nil {
		err = k.faulty(at)
	}
	return k.Record, err
}

func (k *keptRecord) faulty(at keptAt) error {
	switch {
	case k.Kind != share.Kept || !digestForm.MatchString(k.Target):
		return fmt.Errorf("a record of kind %q without a digest", k.Kind)
	case (keptAt{k.Zone, k.Version.Writer, k.Target}) != at:
		return errors.New("a record of something else, or of somebody else")
	}
	return faultyVersion(&k.Record)
}
