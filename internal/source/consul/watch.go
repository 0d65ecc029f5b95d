package consul

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
)

// How Consul is asked.
const (
	maxAtOnce  = 100 // connections; an agent allows 200 from one address
	longWait   = 5 * time.Minute
	firstPause = time.Second // after an error, then twice as long each time
	lastPause  = 30 * time.Second
	shortGap   = 100 * time.Millisecond // between two answers, so that a busy catalog does not busy us
	longGap    = 500 * time.Millisecond // where reading takes long
	roundTrip  = 10 * time.Second       // in which everything is asked once where connections are short
	insist     = time.Minute            // after an empty answer the next is asked for soon
)

// Update is news of one service: an answer of Consul's, or none.
type Update struct {
	Service    string       // its DNS name
	Datacenter string       // that was read; "" is the agent's own
	Entry      source.Entry // what is known now in all datacenters; it is not changed later
	Places     bool         // the endpoints are others than in the Update before
	Status     bool         // or what Consul's checks say of them
	Err        error        // why Consul's answer was not good, or did not come; nil if it was
	Ignored    Ignored      // what was ignored of the last good answer
}

// Source follows the services of one catalog.
type Source struct {
	client  *client
	watches []*watch
	slots   chan struct{}

	mu   sync.Mutex // guards what the services know
	tell func(Update)
}

// service is what is known of one service.
type service struct {
	name  string
	feeds []*feed // by datacenter, in their order
	last  source.Entry
}

// watch follows one service in one datacenter.
type watch struct {
	of      *service
	feed    *feed
	rules   rules
	query   query
	ignored Ignored
}

// New returns a follower of the services of cfg that come from its source i, which
// it does not yet ask.
func New(cfg *config.Config, i int) *Source {
	from := cfg.Sources[i].Consul
	s := &Source{client: newClient(from.Agent), slots: make(chan struct{}, maxAtOnce)}
	base := rules{regions: map[string]string{}, known: map[string]bool{}, targets: cfg.Targets(), allowsPort: cfg.Sources[i].Consul.AllowsPort}
	for _, r := range cfg.Regions {
		base.known[r.Name] = true
	}
	datacenters := []string{""}
	if len(from.Datacenters) > 0 {
		datacenters = nil
	}
	for _, dc := range from.Datacenters {
		base.regions[dc.Name] = dc.Region
		datacenters = append(datacenters, dc.Name)
	}
	for k := range cfg.Services {
		if o := cfg.Services[k].From; o != nil && o.Source == i {
			s.add(cfg.Services[k].Name, o, base, datacenters)
		}
	}
	return s
}

func (s *Source) add(name string, o *config.Origin, base rules, datacenters []string) {
	of := &service{name: name}
	for _, dc := range datacenters {
		w := &watch{of: of, feed: &feed{datacenter: dc}, rules: base, query: query{
			service: o.Name, datacenter: dc, namespace: o.Namespace, partition: o.Partition, peer: o.Peer,
		}}
		w.rules.datacenter, w.rules.region = dc, o.Region
		of.feeds = append(of.feeds, w.feed)
		s.watches = append(s.watches, w)
	}
}

// Run asks Consul until ctx ends, and then returns. It starts from what is known,
// such as what a restart left. After every answer, and whenever none comes, it calls
// tell, one call at a time; tell must return soon. Run is called once.
func (s *Source) Run(ctx context.Context, known source.Catalog, tell func(Update)) {
	s.tell = tell
	for _, w := range s.watches {
		w.of.last = known[w.of.name]
		w.feed.restore(w.of.last)
	}
	var wg sync.WaitGroup
	for _, w := range s.watches {
		wg.Go(func() { s.follow(ctx, w) })
	}
	wg.Wait()
	s.client.close()
}

// follow asks again and again.
func (s *Source) follow(ctx context.Context, w *watch) {
	pause := firstPause
	if !s.sleep(ctx, rand.N(shortGap)) {
		return
	}
	for {
		took, err := s.once(ctx, w)
		if ctx.Err() != nil {
			return
		}
		gap := min(max(took, shortGap), longGap)
		if err != nil {
			gap, pause = pause/2+rand.N(pause/2), min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		if !s.sleep(ctx, gap) {
			return
		}
	}
}

func (s *Source) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once asks once and tells of it.
func (s *Source) once(ctx context.Context, w *watch) (took time.Duration, err error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	a, took, err := s.client.read(ctx, s.next(w), &w.rules)
	<-s.slots
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if err = w.feed.take(a, time.Now()); err == nil {
			w.ignored = a.ignored
		}
	}
	s.tell(w.update(err))
	return took, err
}

// next returns what to ask for next.
func (s *Source) next(w *watch) *query {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := w.query
	q.index, q.fresh, q.wait = w.feed.index, w.feed.fresh, s.wait(w.feed, time.Now())
	return &q
}

// wait is how long Consul may wait for a change: long, and not the same for all;
// shorter to confirm an empty answer, and where there are more watches than
// connections, so that all have their turn.
func (s *Source) wait(f *feed, now time.Time) time.Duration {
	switch n := len(s.watches); {
	case f.confirming() && now.Sub(f.empty) < insist:
		return emptyAfter + rand.N(emptyAfter/5)
	case n > maxAtOnce:
		return max(time.Second, roundTrip*maxAtOnce/time.Duration(n))
	}
	return longWait - rand.N(longWait/5)
}

// update returns the news of the watch's service. The caller holds Source.mu.
func (w *watch) update(err error) Update {
	e, left, cut := join(w.of.feeds)
	u := Update{
		Service: w.of.name, Datacenter: w.query.datacenter, Entry: e, Err: err, Ignored: maps.Clone(w.ignored),
		Places: !e.SamePlaces(w.of.last), Status: !e.SameStatus(w.of.last),
	}
	u.ignore(TooMany, left)
	u.ignore(Heavy, cut)
	w.of.last = e
	return u
}

// ignore counts what more was ignored, if anything was.
func (u *Update) ignore(why Reason, n int) {
	if n == 0 {
		return
	}
	if u.Ignored == nil {
		u.Ignored = Ignored{}
	}
	u.Ignored[why] += n
}
