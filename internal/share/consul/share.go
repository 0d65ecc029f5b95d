// Package consul lets resolvers agree over the KV stores of one or several Consul
// datacenters.
//
//	detour/<cluster>/v1/who/<zone>/<observer> rare: version, plan, digests of checks, assigned checks
//	detour/<cluster>/v1/op/<zone>/<observer>  what is not Up
//	detour/<cluster>/v1/use/<zone>/<observer> which pools it uses; outlives it
//	detour/<cluster>/v1/ctl/<kind>/<target>   records of what operators decided
//	detour/<cluster>/v1/kept/<zone>/<observer>/<digest>  what its guards keep of names
//
// The first two are held by a session: they vanish 10 to 20 s after their observer
// did. A lock protects nothing of them (a plain PUT overwrites), ACLs do: see
// config/consul. Consul does not replicate keys between datacenters: each is
// written, and each is read.
package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/share"
)

// Options say who shares, and where.
type Options struct {
	Cluster  string       // observers of one cluster hear one another; a label
	Observer string       // name of this one, unique in the cluster; a label
	Zone     string       // where it is, "" = not said: votes are counted by zone
	Stores   []Store      // 1 to 8
	Alive    func() bool  // whether probes are made: without, nothing may look as if they were; nil: always. Called by several goroutines
	Log      *slog.Logger // nil: none
}

// Share implements share.Share.
type Share struct {
	o      Options
	log    *slog.Logger
	keys   keys
	wait   time.Duration // of blocking queries
	stores []*store
	ctx    context.Context // until Close
	stop   context.CancelFunc
	wg     sync.WaitGroup
	hear   *starter // of reading who/ and op/
	list   *starter // of reading ctl/
	stock  *starter // of reading kept/
	usage  *starter // of reading use/

	mu      sync.Mutex // guards what follows
	want    wanted
	asked   int           // calls of Publish
	wrote   chan struct{} // closed and replaced when a store was written, or was not
	news    chan struct{} // closed and replaced when a read ended
	council council
	said    returned // by Theirs
	listed  returned // by Records
	usedBy  returned // by Uses
	using   wantedUse
	took    int // changes of what is kept that Kept returned
}

var errClosed = errors.New("closed: this observer left the others")

// New returns a Share that has not asked any store yet: that one cannot be reached
// is no reason not to start. It keeps a session in each store from the first
// Publish until Close.
func New(o Options) (*Share, error) {
	s := &Share{
		o: o, log: o.Log, keys: keys{"detour/" + o.Cluster + "/v1/"}, wait: waitTime,
		wrote: make(chan struct{}), news: make(chan struct{}), council: newCouncil(),
		hear: newStarter(), list: newStarter(), stock: newStarter(), usage: newStarter(),
	}
	if !plain(o.Zone) {
		return nil, fmt.Errorf("zone %q is too long, or has characters that cannot be shown", o.Zone)
	}
	if !config.IsLabel(o.Cluster) || !config.IsLabel(o.Observer) {
		return nil, fmt.Errorf("cluster %q and observer %q must be plain words: at most 63 letters, digits, dots, hyphens and underscores", o.Cluster, o.Observer)
	}
	if len(o.Stores) == 0 || len(o.Stores) > maxStores {
		return nil, fmt.Errorf("%d places to meet: name 1 to %d", len(o.Stores), maxStores)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, at := range o.Stores {
		st, err := newStore(s, at)
		if err != nil {
			return nil, err
		}
		s.stores = append(s.stores, st)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.wg.Go(s.level)
	for _, st := range s.stores {
		s.wg.Go(st.keep)
		s.wg.Go(func() { st.read(inWho, s.hear, apart) })
		s.wg.Go(func() { st.read(inOp, s.hear, apart) })
		s.wg.Go(func() { st.read(inCtl, s.list, apart) })
		s.wg.Go(func() { st.read(inUse, s.usage, usesApart) })
		s.wg.Go(st.keepUse)
		s.wg.Go(st.readKept)
		s.wg.Go(st.clearUp)
	}
	return s, nil
}

func (s *Share) alive() bool { return s.o.Alive == nil || s.o.Alive() }

// Publish implements share.Share. It returns once one store took o, and an error
// when none did; what a store did not take is written there when it is back. What
// is as it was is not written again; that a verdict got older is no change.
func (s *Share) Publish(ctx context.Context, o share.Opinion) error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	if o.Observer != s.o.Observer || o.Zone != s.o.Zone {
		return fmt.Errorf("opinion of %q in zone %q: this is observer %q in zone %q", o.Observer, o.Zone, s.o.Observer, s.o.Zone)
	}
	s.mu.Lock()
	s.asked++
	asked := s.asked
	cut, err := s.want.take(o, time.Now())
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if cut {
		s.log.Warn("too much is not up to be told to the other resolvers: this one has no voice until that is less", "judged", len(o.Judged))
	}
	for _, st := range s.stores {
		st.wake()
	}
	return s.await(ctx, asked)
}

// await waits until a store took what was asked, or none did.
func (s *Share) await(ctx context.Context, asked int) error {
	for {
		s.mu.Lock()
		done, err := s.outcome(asked)
		wrote := s.wrote
		s.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-wrote:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errClosed
		}
	}
}

// outcome reports whether it is known what became of a Publish, and what. The
// caller holds the lock.
func (s *Share) outcome(asked int) (done bool, err error) {
	var failed []error
	for _, st := range s.stores {
		switch w := st.written; {
		case w.asked < asked:
		case w.err == nil:
			return true, nil
		default:
			failed = append(failed, w.err)
		}
	}
	return len(failed) == len(s.stores), errors.Join(failed...)
}

// Close ends the session in every store, so that the others see at once that this
// observer left. After it all verbs fail.
func (s *Share) Close(ctx context.Context) error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.wg.Wait()
	errs := make([]error, len(s.stores))
	var wg sync.WaitGroup
	for i, st := range s.stores {
		wg.Go(func() { errs[i] = st.leave(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// begin runs f, for whose end Close waits. It reports false after Close.
func (s *Share) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.wg.Go(f)
	return true
}

// starter starts once what waits for it.
type starter struct {
	once sync.Once
	on   chan struct{}
}

func newStarter() *starter { return &starter{on: make(chan struct{})} }

func (s *starter) start() { s.once.Do(func() { close(s.on) }) }

// announce closes and replaces a channel that others wait on. The caller holds the
// lock.
func announce(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}

var (
	_ share.Share  = (*Share)(nil)
	_ share.Keeper = (*Share)(nil)
)
