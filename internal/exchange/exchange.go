// Package exchange brings what the guards of one resolver keep to those of the
// others, over the store in which resolvers agree.
package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/share"
)

// The pace. Whatever befalls the store, no guard waits.
const (
	writeEvery = time.Second
	writeTime  = 10 * time.Second
	pause      = 5 * time.Second // after an error
	maxNames   = 1000            // of a resolver: those beyond it keeps for itself
)

// Options say who exchanges, and where.
type Options struct {
	At   share.Keeper
	Self string          // this observer
	Zone func() []string // the observers of its zone that are alive; it may wait
	Log  *slog.Logger
}

// Exchange implements guard.Exchange. It is safe for concurrent use.
type Exchange struct {
	o    Options
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup
	zone atomic.Pointer[[]string]
	once sync.Once
	read chan struct{} // closed when the others' was read once

	mu      sync.Mutex // guards what follows
	found   []guard.Find
	count   uint64
	records map[string]share.Record // of this observer, by target
	waiting map[string]guard.Shared // to be stored, by target
	failed  bool
	full    bool
}

// New begins to exchange.
func New(o Options) *Exchange {
	x := &Exchange{o: o, records: map[string]share.Record{}, waiting: map[string]guard.Shared{}, read: make(chan struct{})}
	x.ctx, x.stop = context.WithCancel(context.Background())
	x.zone.Store(&[]string{})
	x.wg.Go(x.follow)
	x.wg.Go(x.write)
	return x
}

// Close ends it. What was left a moment ago may not have been stored.
func (x *Exchange) Close() {
	x.stop()
	x.wg.Wait()
}

// Zone implements guard.Exchange.
func (x *Exchange) Zone() (self string, zone []string) { return x.o.Self, *x.zone.Load() }

// Found implements guard.Exchange.
func (x *Exchange) Found() ([]guard.Find, uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.found, x.count
}

// Leave implements guard.Exchange.
func (x *Exchange) Leave(s guard.Shared) {
	key := Target(s.Block, s.Name)
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, known := x.records[key]; !known && len(x.records)+len(x.waiting) >= maxNames {
		if !x.full {
			x.full = true
			x.o.Log.Warn("more names are guarded than resolvers keep in common: what is kept of the others stays here", "most", maxNames)
		}
		return
	}
	x.waiting[key] = s
}

// Target is the digest of a server block and a name.
func Target(block, name string) string {
	sum := sha256.Sum256([]byte(block + "\x00" + name))
	return hex.EncodeToString(sum[:16])
}

// Wait waits until what the others keep was read once, or for so long.
func (x *Exchange) Wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-x.read:
	case <-t.C:
	}
}

// follow takes in what others keep whenever that changes.
func (x *Exchange) follow() {
	for x.ctx.Err() == nil {
		stock, err := x.o.At.Kept(x.ctx)
		if err != nil {
			x.wait(pause)
			continue
		}
		x.take(stock)
	}
}

// take makes a stock what is found.
func (x *Exchange) take(stock share.Stock) {
	var found []guard.Find
	records := make(map[string]share.Record, len(stock.Here))
	for i, r := range append(stock.Here, stock.Elsewhere...) {
		near := i < len(stock.Here)
		if near && r.Version.Writer == x.o.Self {
			records[r.Target] = r
		}
		if s, ok := decode(&r); ok {
			found = append(found, guard.Find{Shared: s, Near: near})
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found, x.records = found, records
	x.count++
	x.once.Do(func() { close(x.read) })
}

// A name is at most so many members and links of two families, and a few values each:
// a value of three bytes would take a hundred in memory, and there are thousands.
const (
	maxObjects = 2*(guard.MaxMembers+guard.MaxChain) + 8
	maxValues  = 16*maxObjects + 2*guard.MaxChain
)

// decode returns what a record says, unless it is not of the name that its target
// says.
func decode(r *share.Record) (s guard.Shared, ok bool) {
	if bytes.Count(r.Value, []byte("{")) > maxObjects || bytes.Count(r.Value, []byte(",")) > maxValues {
		return s, false
	}
	err := json.Unmarshal(r.Value, &s)
	s.By = r.Version.Writer
	return s, err == nil && Target(s.Block, s.Name) == r.Target
}

// write stores what was left.
func (x *Exchange) write() {
	for x.wait(writeEvery) {
		if zone := x.o.Zone(); !slices.Equal(zone, *x.zone.Load()) {
			x.zone.Store(&zone)
		}
		list := x.next()
		if len(list) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(x.ctx, writeTime)
		err := x.o.At.Keep(ctx, list)
		cancel()
		x.note(list, err)
		if err != nil && !x.wait(pause) {
			return
		}
	}
}

// next returns what is to be stored, of higher versions than what is there.
func (x *Exchange) next() (list []share.Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, s := range x.waiting {
		delete(x.waiting, key)
		s.By = x.o.Self
		value, err := json.Marshal(s)
		was := x.records[key]
		if err != nil || bytes.Equal(value, was.Value) {
			continue
		}
		list = append(list, share.Record{
			Kind: share.Kept, Target: key, Version: share.Version{N: was.Version.N + 1, Writer: x.o.Self}, Made: time.Now(), Value: value,
		})
	}
	return list
}

// note tells once that nothing is stored, and once that it is again. What was not
// stored is left again by its guard.
func (x *Exchange) note(list []share.Record, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range list {
		if err == nil {
			x.records[list[i].Target] = list[i]
		}
	}
	failed := err != nil && x.ctx.Err() == nil
	switch {
	case failed && !x.failed:
		x.o.Log.Warn("what is kept of guarded names does not reach the other resolvers", "error", err)
	case !failed && x.failed:
		x.o.Log.Info("what is kept of guarded names reaches the other resolvers again")
	}
	x.failed = failed
}

// wait waits, and reports whether it waited to the end.
func (x *Exchange) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.ctx.Done():
		return false
	}
}

var _ guard.Exchange = (*Exchange)(nil)
