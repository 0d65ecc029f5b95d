package consul

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
)

// Times of reading.
const (
	waitTime   = 10 * time.Second       // of a blocking query; the server adds up to a sixteenth
	graceTime  = 4 * time.Second        // beyond it: a server that hangs says nothing for minutes
	freshLimit = 5 * time.Second        // of a query that need not wait
	apart      = 500 * time.Millisecond // from one query's start to the next
	maxPause   = 4 * time.Second        // after errors, and half as much at random
	maxContact = 5 * time.Second        // since the server heard its leader
	oddAgain   = 10 * time.Minute       // from one warning of values that are ignored to the next
	lasting    = 15 * time.Second       // what was read longer ago says nothing of now
)

// What is read, each by a query of its own.
const (
	inWho = iota
	inOp
	inCtl
	inUse
	numParts
)

var prefixes = [numParts]string{"who/", "op/", "ctl/", "use/"}

// held tells of which prefixes each value is held by a session, and vanishes with it.
var held = [numParts]bool{inWho: true, inOp: true}

// entry is one value that is sound: one of the four.
type entry struct {
	raw    []byte
	who    *who
	op     *op
	record *share.Record
	use    *usage
}

// part is what a store held under one prefix.
type part struct {
	at      time.Time // end of the last good read, zero if there was none
	err     error     // of the last read
	good    int       // reads
	bad     int
	odd     int              // values that were ignored
	oddAt   time.Time        // when that was told last
	entries map[string]entry // by the rest of the key
}

// healthy reports whether the last read was good.
func (p *part) healthy() bool { return p.err == nil && p.good > 0 }

// read reads one prefix again and again, once it is started, until Close.
func (st *store) read(which int, begin *starter, spacing time.Duration) {
	select {
	case <-begin.on:
	case <-st.s.ctx.Done():
		return
	}
	index, failures := uint64(0), 0
	for {
		began := time.Now()
		pairs, next, err := st.query(st.s.keys.base+prefixes[which], index)
		if st.s.ctx.Err() != nil {
			return
		}
		index = next
		if failures++; err == nil {
			failures = 0
		}
		st.deliver(which, began, pairs, err)
		if !st.pause(time.Until(began.Add(spacing)), failures) {
			return
		}
	}
}

// pause keeps queries apart, the more the more of them failed in a row. It reports
// whether reading goes on.
func (st *store) pause(d time.Duration, failures int) bool {
	if failures > 0 {
		d = min(apart<<min(failures-1, 8), maxPause)
		d += rand.N(d/2 + 1)
	}
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-st.s.ctx.Done():
		return false
	}
}

// query asks once what lies under a prefix, and returns the index to ask with next: zero asks for an answer
// at once, which is what proves a store alive after an error.
func (st *store) query(prefix string, index uint64) (pairs api.KVPairs, next uint64, err error) {
	limit := st.s.wait + graceTime - apart // which is waited before: 14 s in all
	if index == 0 {
		limit = freshLimit
	}
	err = st.use(st.s.ctx, limit, func(ctx context.Context, c *api.Client) error {
		q := &api.QueryOptions{AllowStale: true, WaitIndex: index, WaitTime: st.s.wait}
		found, meta, err := c.KV().List(prefix, q.WithContext(ctx))
		if err != nil {
			return err
		}
		pairs = slices.DeleteFunc(found, func(p *api.KVPair) bool { return p == nil }) // a server may say null
		if meta.LastIndex >= index {
			next = meta.LastIndex
		}
		return trusted(meta)
	})
	if err != nil {
		return nil, 0, err
	}
	return pairs, next, nil
}

// trusted says why an answer is not the store's present state.
func trusted(meta *api.QueryMeta) error {
	switch {
	case !meta.KnownLeader:
		return errors.New("the server has no leader")
	case meta.LastContact > maxContact:
		return fmt.Errorf("the server heard its leader %s ago", meta.LastContact.Round(time.Second))
	case meta.ResultsFilteredByACLs:
		return errors.New("the token may not read all that resolvers share")
	}
	return nil
}

// deliver keeps what was read.
func (st *store) deliver(which int, began time.Time, pairs api.KVPairs, err error) {
	p := &st.parts[which] // its entries are changed by this goroutine only
	var entries map[string]entry
	var odd int
	if err == nil {
		entries, odd = st.sift(which, p.entries, pairs)
	}
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	p.err = err
	if err != nil {
		p.bad++
	} else {
		if odd > p.odd && time.Since(p.oddAt) >= oddAgain {
			p.oddAt = time.Now()
			st.log.Warn("what is shared here holds values that are not ours, damaged or too large: they are ignored", "under", st.s.keys.base+prefixes[which], "values", odd)
		}
		p.at, p.entries, p.odd = time.Now(), entries, odd
		p.good++
		st.verifyOwn(which, began, pairs)
	}
	st.note(reading, errors.Join(st.parts[inWho].err, st.parts[inOp].err, st.parts[inCtl].err, st.parts[inUse].err))
	announce(&st.s.news)
}

// sift decodes what is new, and counts what is ignored.
func (st *store) sift(which int, old map[string]entry, pairs api.KVPairs) (entries map[string]entry, odd int) {
	entries = make(map[string]entry, min(len(pairs), maxRecords))
	room := newRoom(which)
	name := func(pair *api.KVPair) string { return strings.TrimPrefix(pair.Key, st.s.keys.base+prefixes[which]) }
	take := func(pair *api.KVPair) {
		if e, ok := decodePair(which, name(pair), pair, old[name(pair)]); ok && room.take(name(pair)) {
			entries[name(pair)] = e
		} else {
			odd++
		}
	}
	for _, pair := range st.ranked(which, old, pairs, name) {
		if !st.own(which, name(pair)) {
			take(pair)
		}
	}
	return entries, odd
}

// ranked orders what was read by who has room first. Newcomers silence nobody who is
// there. Uses outlive their observers: those who are gone silence nobody who lives,
// and the older ones no younger one.
func (st *store) ranked(which int, old map[string]entry, pairs api.KVPairs, name func(*api.KVPair) string) api.KVPairs {
	pairs, before := slices.Clone(pairs), old
	if which == inUse {
		slices.SortStableFunc(pairs, func(a, b *api.KVPair) int { return cmp.Compare(b.ModifyIndex, a.ModifyIndex) })
		before = st.living()
	}
	putFirst(pairs, func(pair *api.KVPair) bool { _, there := before[name(pair)]; return there })
	return pairs
}

// putFirst moves to the front what is so, and leaves the order else.
func putFirst[T any](list []T, isSo func(T) bool) {
	rank := func(x T) int {
		if isSo(x) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b T) int { return rank(a) - rank(b) })
}

// living returns who held a session here when that was last read, by the rest of the
// key. A map of entries is replaced, and never changed.
func (st *store) living() map[string]entry {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.parts[inWho].entries
}

// own reports whether a value is what this observer holds itself.
func (st *store) own(which int, name string) bool {
	return held[which] && name == member(st.s.o.Zone, st.s.o.Observer)
}

// room bounds what is believed of one prefix: of records all together, of observers
// those of each zone, so that what a token of one zone may write takes no place
// from another's.
type room struct {
	byZone bool
	left   int
	zones  map[string]int
}

func newRoom(which int) *room {
	if which == inCtl {
		return &room{left: maxRecords}
	}
	return &room{byZone: true, left: maxObservers * maxZones, zones: map[string]int{}}
}

func (r *room) take(name string) bool {
	zone, _, _ := strings.Cut(name, "/")
	if r.left == 0 || r.byZone && r.zones[zone] == maxObservers {
		return false
	}
	r.left--
	if r.byZone {
		r.zones[zone]++
	}
	return true
}

// decodePair decodes a pair that is not what it was, and reports whether it is
// sound.
func decodePair(which int, name string, pair *api.KVPair, was entry) (entry, bool) {
	if held[which] && pair.Session == "" { // it would never vanish
		return entry{}, false
	}
	if was.raw != nil && bytes.Equal(was.raw, pair.Value) {
		return was, true
	}
	return decodeEntry(which, name, pair.Value)
}

// decodeEntry decodes one value, and reports whether it is sound.
func decodeEntry(which int, name string, raw []byte) (e entry, ok bool) {
	e.raw = raw
	if which == inCtl {
		r, err := decodeRecord(name, raw)
		e.record = &r
		return e, err == nil
	}
	if _, _, ok := parseMember(name); !ok {
		return e, false
	}
	var err error
	switch which {
	case inWho:
		e.who, err = believe(decodeWho(raw))
	case inUse:
		e.use, err = believe(decodeUsage(raw))
	default:
		e.op, err = believe(decodeOp(raw))
	}
	return e, err == nil
}

func believe[T any](v T, err error) (*T, error) { return &v, err }

// verifyOwn has what others see of this observer compared with what it wrote. The
// caller holds Share.mu.
func (st *store) verifyOwn(which int, began time.Time, pairs api.KVPairs) {
	if which == inCtl {
		return
	}
	key := st.s.keys.base + prefixes[which] + member(st.s.o.Zone, st.s.o.Observer)
	var own *api.KVPair
	for _, pair := range pairs {
		if pair.Key == key {
			own = pair
		}
	}
	if which == inUse {
		st.verifyUse(began, own)
		return
	}
	st.verify(began, key, own)
}
