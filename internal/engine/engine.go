package engine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/crash"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/monitor"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/prober"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// Options are what an Engine takes from its surroundings.
type Options struct {
	Config *config.Config
	Log    *slog.Logger  // nil: slog.Default
	Lookup source.Lookup // of names as endpoints; nil: SetLookup gives it later
	Share  share.Share   // where others are met; nil: where Config.Share says

	// Dial replaces the system's connect of probes over TCP and UDP. It is for
	// tests, which must not send to the addresses of their examples. May be nil.
	Dial Dial
}

// Dial connects to an address, or returns when ctx ends.
type Dial func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)

// Engine puts a Core on a clock, on probes and on disk. Its methods are safe for
// concurrent use. There is one for each failover.yaml in a process.
type Engine struct {
	log        *slog.Logger
	sharing    *sharing // nil: this resolver is alone
	snap       atomic.Pointer[Published]
	calls      chan func()
	reports    chan monitor.Report
	dial       Dial
	stop       chan struct{}
	done       chan struct{}
	once       sync.Once
	background sync.WaitGroup
	started    time.Time
	version    string
	pulse      voice
	meets      meeting

	catalogs *catalogs
	monitor  *monitor.Monitor
	names    *names
	disk     *disk
	book     *crash.Book // nil without a state file
	ended    string      // how the process before did, if that was a fault of this program

	// What follows belongs to the loop.
	core      *Core
	found     source.Found
	byID      map[uint64]int32
	probers   map[*config.Monitor]prober.Prober // of the plan
	answers   Answers                           // nil: nobody counts them
	hands     hands
	published time.Time
	first     chan struct{} // closed when every check was probed once
	waiting   map[int32]bool
	reload    Reload
	told      bool // that the brake is on
	unseen    Blind
	count     counters
	refused   refusals
	ramps     ramps
	warned    map[string]time.Time // overrides that are told to end soon: until when, by target
	journal   *journal.Journal
	ledger    *share.Ledger
	hash      uint64            // of the decisions that were last told the others
	lacking   map[string]string // why what cannot be read now, by path
}

// Published is a snapshot with the plan that it belongs to.
type Published struct {
	*steer.Snapshot
	Plan *plan.Plan
}

// gather is how long later changes are gathered after a publish.
const gather = 100 * time.Millisecond

// burst bounds the results that are weighed between two looks at anything else.
const burst = 512

// Start makes an engine and begins to probe.
func Start(o Options) (*Engine, error) {
	e := &Engine{
		log: o.Log, version: version(), dial: o.Dial, started: time.Now(),
		calls: make(chan func()), reports: make(chan monitor.Report, 1024),
		stop: make(chan struct{}), done: make(chan struct{}), first: make(chan struct{}), count: newCounters(),
		refused: newRefusals(), ramps: newRamps(), warned: map[string]time.Time{}, journal: journal.New(),
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.disk = openDisk(o.Config.State.Dir, len(o.Config.Services) > 0, e.log, e.journal, e.wrote)
	e.openCrashes(o.Config.Path)
	use, why, err := e.eligible(o.Config)
	if err != nil {
		e.letGo()
		return nil, err
	}
	o.Config = use
	e.begins(o.Config)
	e.restore(o.Config, e.disk.load(e.started, o.Config))
	p := e.core.Plan
	if err := e.join(o); err != nil {
		e.letGo()
		return nil, err
	}
	hands := e.handFiles()
	e.takeHandFiles(hands)
	e.reload = Reload{At: e.started, Hash: o.Config.Hash, OK: true}
	if why != nil {
		e.refuse(why)
	}
	e.monitor = monitor.New(monitor.Options{Out: e.reports, MaxInFlight: o.Config.Probes.MaxInFlight})
	e.names = newNames(e, o.Lookup)
	e.record(journal.Event{
		Kind: journal.Started, Text: "started with " + many(len(o.Config.Services), "service", "services") + " and " +
			many(len(p.Checks), "check", "checks") + ", configuration " + short(o.Config.Hash),
	})
	e.watch(p)
	e.publish(e.started)
	e.names.want(p.Names, e.found)
	e.catalogs.follow(o.Config)
	go e.loop()
	if e.sharing != nil {
		e.sharing.run()
	}
	if dir := o.Config.State.Dir; dir != "" {
		e.background.Go(func() { e.watchHandFiles(filepath.Join(dir, HandsDir), hands) })
	}
	return e, nil
}

// Journal is the history of what the engine did.
func (e *Engine) Journal() *journal.Journal { return e.journal }

// Load returns what is published now. It is the only thing that a query needs.
func (e *Engine) Load() *Published { return e.snap.Load() }

// Close stops probing, keeps what must be kept, and lets go of the disk.
func (e *Engine) Close() {
	e.once.Do(func() { close(e.stop) })
	<-e.done
	if e.sharing != nil {
		e.sharing.close()
	}
	e.background.Wait()
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("engine is closed")

// Do runs f on the loop, where it alone may touch the core. f must not keep it.
func (e *Engine) Do(f func(*Core)) error {
	ran := make(chan struct{})
	select {
	case e.calls <- func() { f(e.core); close(ran) }:
		<-ran
		return nil
	case <-e.stop:
		return ErrClosed
	}
}

// SetLookup gives the way to resolve names, which exists only once the chain
// below the plugin does.
func (e *Engine) SetLookup(l source.Lookup) { e.names.set(l) }

// SetAnswers gives the count of what was answered. Without one, every service may
// have been asked for.
func (e *Engine) SetAnswers(a Answers) { _ = e.Do(func(*Core) { e.answers = a }) }

// Wait returns when every check was probed once, or ctx ends.
func (e *Engine) Wait(ctx context.Context) {
	var met <-chan struct{}
	if met = e.first; e.sharing != nil {
		met = e.sharing.first
	}
	for _, c := range []<-chan struct{}{met, e.first} {
		select {
		case <-c:
		case <-ctx.Done():
		case <-e.done:
		}
	}
}

// readyAfter is when an engine is ready at the latest: what has not settled by
// then is not going to be waited for.
const readyAfter = 10 * time.Second

// Ready reports whether every check has settled, or has had its time.
func (e *Engine) Ready() bool {
	if time.Since(e.started) > readyAfter {
		return true
	}
	ready := false
	err := e.Do(func(c *Core) { ready = c.Settled() })
	return err == nil && ready
}

// loop runs until Close. A panic ends the process at once, as it must: what shuts
// down would wait for callers who wait for the loop, and a resolver that hangs so
// answers for ever what was true then.
func (e *Engine) loop() {
	defer close(e.done)
	e.work()
	e.shutdown()
}

// work acts on what comes, until Close.
func (e *Engine) work() {
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	wake := time.NewTimer(gather)
	defer wake.Stop()
	for {
		select {
		case <-e.stop:
			return
		case r := <-e.reports:
			e.take(r)
		case f := <-e.calls:
			f()
		case <-sweep.C:
			e.core.Asked(e.answers, time.Now())
			e.core.Sweep(time.Now())
			if !e.core.watches() {
				e.schedule()
			}
			if e.sharing != nil {
				e.sharing.tell()
				e.tellUse(time.Now())
				e.agreeOnUse(time.Now())
			}
			e.catalogs.tell(time.Now())
			e.tellSoon(time.Now())
			e.tellBlind(time.Now())
			e.tellRamps(time.Now())
			e.mindTrial(time.Now())
			e.save(time.Now(), false)
		case <-wake.C:
		}
		wake.Reset(e.settle(time.Now()))
	}
}

// settle publishes if that is due and returns how long to sleep if nothing
// happens.
func (e *Engine) settle(now time.Time) time.Duration {
	if hash := e.core.snap.Hash(); e.sharing != nil && (e.core.opines || hash != e.hash) {
		e.core.opines, e.hash = false, hash
		e.sharing.touch()
	}
	due := e.core.Due(now)
	gap := now.Sub(e.published)
	e.tellBrake()
	switch {
	case due && gap >= gather:
		e.publish(now)
	case due:
		return gather - gap
	}
	if t := e.core.Wake(); !t.IsZero() {
		return max(time.Millisecond, t.Sub(now))
	}
	return time.Hour
}

func (e *Engine) publish(now time.Time) {
	old := e.snap.Load()
	began := time.Now()
	s := e.core.Publish(now)
	e.count.builds.add(time.Since(began))
	e.snap.Store(&Published{s, e.core.Plan})
	e.published = now
	e.tell(old, s)
	e.noteUse(old, s)
}

// shutdown runs on the loop's way out.
func (e *Engine) shutdown() {
	stopped := make(chan struct{})
	go func() { // reports that are under way must not block the monitor's end
		for {
			select {
			case <-e.reports:
			case <-stopped:
				return
			}
		}
	}()
	e.catalogs.close()
	e.names.close()
	e.monitor.Close()
	close(stopped)
	e.save(time.Now(), true)
	e.record(journal.Event{Kind: journal.Stopped, Text: "stopped"})
	e.letGo()
}

// letGo lets go of what is on disk.
func (e *Engine) letGo() {
	e.disk.close()
	if err := e.book.Close(); err != nil {
		e.log.Warn("file for crashes", "error", err)
	}
}
