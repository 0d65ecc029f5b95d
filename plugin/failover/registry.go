package failover

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/guard"
)

// engines is the one global of this package. During a reload two Caddy instances
// live at once, and a failed one gets no shutdown; so what must outlive an
// instance (health, state file, admin listener, probes) belongs to the process
// and is keyed by the file that it serves.
var engines = &registry{shared: map[string]*shared{}}

type registry struct {
	mu     sync.Mutex // guards what follows
	shared map[string]*shared
	hooked bool
	bare   *bare // of a process that serves, and has no failover.yaml
	serves bool
	last   lastRead // guards itself

	instead map[string]*config.Config // of files with faults: what a start uses in their place
}

// shared is one engine and what the handlers of all server blocks share.
type shared struct {
	path    string
	eng     atomic.Pointer[engine.Engine]
	names   atomic.Pointer[names]
	counts  atomic.Pointer[counts]
	ledger  ledger
	moves   moves
	blocks  atomic.Pointer[[]*Failover] // of the instance in use, one of each server block
	minute  atomic.Uint32               // of the epoch; so that no query reads a clock
	rebinds atomic.Uint64               // answers without what rebind blocked
	strange strangers                   // clients that may not ask
	few     atomic.Bool                 // few client networks were seen: ramps draw per answer
	crowd   *crowd
	door    *door
	quit    chan struct{} // ends the helpers
	begun   string        // hash of the configuration that the engine was started for; it may have taken another
	wg      sync.WaitGroup

	recounting sync.Mutex

	mu        sync.Mutex // guards what follows
	committed bool       // a running instance uses it
	admin     func()     // stops the admin listener
	fair      func()     // ends the exchange of what guards keep
}

// get returns the entry of a file. It starts nothing.
func (r *registry) get(path string) *shared {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook()
	s, ok := r.shared[path]
	if !ok {
		s = &shared{path: path, door: newDoor(limits())}
		r.shared[path] = s
	}
	return s
}

func (s *shared) engine() *engine.Engine { return s.eng.Load() }

// load returns what is published. It is called for each query.
func (s *shared) load() *engine.Published { return s.eng.Load().Load() }

// check reports whether a running engine would take cfg. Without one, Start says.
func (s *shared) check(cfg *config.Config) error {
	if e := s.engine(); e != nil {
		return e.Check(cfg)
	}
	return nil
}

// instance is the part of one Caddy instance: its handlers, by file.
type instance struct {
	mu    sync.Mutex
	first map[*shared]*Failover // the handler whose chain resolves names
	cfgs  map[*shared]*config.Config
	all   map[*shared][]*Failover
}

type instanceKey struct{}

func instanceOf(c *caddy.Controller) *instance {
	if i, ok := c.Get(instanceKey{}).(*instance); ok {
		return i
	}
	i := &instance{first: map[*shared]*Failover{}, cfgs: map[*shared]*config.Config{}, all: map[*shared][]*Failover{}}
	c.Set(instanceKey{}, i)
	return i
}

func (i *instance) add(f *Failover, cfg *config.Config) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.first[f.shared] == nil {
		i.first[f.shared] = f
	}
	i.cfgs[f.shared] = cfg
	i.all[f.shared] = append(i.all[f.shared], f)
}

// start makes sure that the engine runs before the instance listens. If another
// instance runs it already, nothing is changed until the new one is in use.
func (i *instance) start(s *shared) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s.engine() != nil {
		return nil
	}
	e, err := engine.Start(engine.Options{
		Config: i.cfgs[s], Log: slog.New(newLogHandler()), Lookup: lookupBelow(i.first[s].Next),
	})
	if err != nil {
		return fmt.Errorf("plugin/%s: %s: %w", pluginName, s.path, err)
	}
	s.begun = i.cfgs[s].Hash
	engines.endBare() // its socket is wanted
	s.begin(e)
	waitFirstRound(s)
	return nil
}

// hook has instances committed once they are in use. The mutex is held.
func (r *registry) hook() {
	if !r.hooked {
		r.hooked = true
		caddy.RegisterEventHook("detour-"+pluginName, r.onEvent)
	}
}

// onEvent commits an instance once it is the one in use.
func (r *registry) onEvent(event caddy.EventName, info any) error {
	if event != caddy.InstanceStartupEvent {
		return nil
	}
	inst, ok := info.(*caddy.Instance)
	if !ok {
		return nil
	}
	inst.StorageMu.RLock()
	mine, _ := inst.Storage[instanceKey{}].(*instance)
	inst.StorageMu.RUnlock()
	r.commit(mine)
	return nil
}

// commit applies the configurations of an instance and ends the engines that it
// does not use. mine is nil for an instance without the plugin.
func (r *registry) commit(mine *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instead = nil // for one start
	r.last.forget()
	for path, s := range r.shared {
		if mine == nil || mine.first[s] == nil {
			s.end()
			delete(r.shared, path)
			continue
		}
		e := s.engine()
		e.SetLookup(lookupBelow(mine.first[s].Next))
		blocks := mine.all[s]
		s.blocks.Store(&blocks)
		s.setCommitted()
		if hash := mine.cfgs[s].Hash; hash != e.Load().Plan.Config.Hash && hash != s.begun { // what it did not begin with it has told of
			_ = e.Apply(mine.cfgs[s]) // setup checked it; what changed since is in status and log
		}
	}
	r.settleBare()
}

// abandon ends engines that were started for an instance that failed.
func (r *registry) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, s := range r.shared {
		if !s.isCommitted() {
			s.end()
			delete(r.shared, path)
		}
	}
	r.settleBare()
}

// closeAll ends everything: the process is about to.
func (r *registry) closeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.settleBare()
	r.serves = false
	for path, s := range r.shared {
		s.end()
		delete(r.shared, path)
	}
}

func (s *shared) setCommitted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
}

func (s *shared) isCommitted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

// begin takes an engine into use and starts what goes with it.
func (s *shared) begin(e *engine.Engine) {
	s.quit = make(chan struct{})
	s.minute.Store(minuteOf(time.Now()))
	s.few.Store(true)
	s.crowd = newCrowd(time.Now())
	s.eng.Store(e)
	e.SetAnswers(s.answers())
	s.wg.Go(s.tick)
	s.wg.Go(s.watch)
	s.wg.Go(s.mindDoor)
	s.admin = s.listenAdmin(e.Load().Plan.Config)
	hearGuards(e)
	s.fair = openFair(e)
}

// end stops the engine, if it runs, and all that goes with it.
func (s *shared) end() {
	e := s.engine()
	if e == nil {
		return
	}
	s.mu.Lock()
	stop := s.admin
	s.admin = nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	guard.Front.Listen(nil)
	s.fair()
	close(s.quit)
	s.wg.Wait()
	e.Close()
}

// tick keeps the minute and the size of the crowd. Half a second late is soon
// enough.
func (s *shared) tick() {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			s.minute.Store(minuteOf(now))
			s.few.Store(s.crowd.few(now))
		case <-s.quit:
			return
		}
	}
}

func minuteOf(t time.Time) uint32 { return uint32(t.Unix() / 60) }
