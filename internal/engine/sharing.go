package engine

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
)

// The pace of sharing. What is agreed follows a vote within two seconds; what is
// written in a region's failure is bounded.
const (
	settleFirst  = 100 * time.Millisecond // changes are gathered after the first
	writeEvery   = time.Second            // at most one write in that time
	writeTimeout = 10 * time.Second
	retryShare   = time.Second      // after an error, and again as much at random
	firstRead    = 2 * time.Second  // the start waits for the others so long
	goodbye      = 2 * time.Second  // the stop
	healAfter    = 30 * time.Second // at most, before what a store lost is written again
)

// sharing brings what is held here to the others, and what they hold to the loop.
// Its goroutines wait for the store; the loop never does.
type sharing struct {
	e     *Engine
	share share.Share
	name  string
	boot  string
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	dirty chan struct{}       // there is something to publish
	puts  chan []share.Record // to be stored
	first chan struct{}       // closed when the others' records and uses were read once, or could not be
	heard chan struct{}       // closed when the others were heard once, or could not be

	firstRead sync.WaitGroup // of records and of uses

	// What follows belongs to the loop.
	healing   bool
	ending    bool
	usesAnew  bool // services stand otherwise than the others were told
	returning bool // services do whose age the others are told anew
	usesSaid  time.Time
	usage     usage
	told      agree.Contact
	others    []string
	visits    visits
	untold    int       // comings and goings since the last that was told
	divided   bool      // it was told that others probe some checks
	denied    time.Time // when it was last told that the token may not write
	endDenied time.Time // when it last could not write that a record is over
	problem   string    // why nothing was read last, "" if it was
	stores    []share.Store
}

// newSharing returns what is to run.
func newSharing(e *Engine, s share.Share, name string) *sharing {
	out := &sharing{
		e: e, share: s, name: name, boot: rand.Text(),
		heard: make(chan struct{}), usesAnew: true,
		dirty: make(chan struct{}, 1), puts: make(chan []share.Record, backlog), first: make(chan struct{}),
	}
	out.ctx, out.stop = context.WithCancel(context.Background())
	out.firstRead.Add(2)
	return out
}

// run begins to share. The loop must run.
func (s *sharing) run() {
	s.touch()
	s.wg.Go(s.publish)
	s.wg.Go(s.read)
	s.wg.Go(s.readRecords)
	s.wg.Go(s.readUses)
	s.wg.Go(func() { s.firstRead.Wait(); close(s.first) })
	s.wg.Go(s.put)
}

// close leaves the others, who should know at once.
func (s *sharing) close() {
	s.stop()
	within(2*goodbye, func() {
		s.wg.Wait()
		if c, ok := s.share.(interface{ Close(context.Context) error }); ok {
			ctx, cancel := context.WithTimeout(context.Background(), goodbye)
			defer cancel()
			if err := c.Close(ctx); err != nil {
				s.e.log.Warn("the other resolvers will notice only later that this one left", "error", err)
			}
		}
	})
}

// touch says that there is something to publish.
func (s *sharing) touch() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// pause waits, and reports whether it waited to the end.
func (s *sharing) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *sharing) retry() bool { return s.pause(retryShare + mathrand.N(retryShare)) }

// publish writes what is held here whenever it changed.
func (s *sharing) publish() {
	for {
		select {
		case <-s.dirty:
		case <-s.ctx.Done():
			return
		}
		if !s.pause(settleFirst) {
			return
		}
		if s.publishNow() == nil {
			s.pause(writeEvery - settleFirst)
		} else {
			s.touch()
			s.retry()
		}
	}
}

func (s *sharing) publishNow() error {
	var o share.Opinion
	var version int
	if err := s.e.Do(func(c *Core) { o, version = c.Opinion(time.Now()), c.council.duty.version }); err != nil {
		return err
	}
	o.Observer, o.Boot, o.Version = s.name, s.boot, s.e.version
	ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
	defer cancel()
	if err := s.share.Publish(ctx, o); err != nil {
		return err
	}
	return s.e.Do(func(c *Core) { c.council.duty.known = version })
}

// read hears the others.
func (s *sharing) read() {
	var once sync.Once
	for s.ctx.Err() == nil {
		r, err := s.share.Theirs(s.ctx)
		at := time.Now()
		closed := s.e.Do(func(c *Core) {
			s.note(r.Stores, err)
			if err == nil {
				c.Hear(s.strangers(r), at)
			}
			s.tell()
		})
		once.Do(func() { close(s.heard) })
		if closed != nil || err != nil && !s.retry() {
			return
		}
	}
}

// strangers leaves out of a read an observer with this one's name and zone: it would have
// two voices.
func (s *sharing) strangers(r share.Read) share.Read {
	id := share.MemberID(s.e.core.council.zone, s.name)
	r.Others = slices.DeleteFunc(slices.Clone(r.Others), func(o share.Opinion) bool { return o.ID() == id })
	return r
}

// note keeps how the stores answer. It runs on the loop, as tell does.
func (s *sharing) note(stores []share.Store, err error) {
	was := s.problem
	if s.problem = ""; err != nil {
		s.problem = err.Error()
	} else {
		s.stores = stores
	}
	switch {
	case was == "" && s.problem != "":
		s.e.log.Warn("other resolvers cannot be heard: what was agreed stands, new local verdicts count at once", "error", err)
	case was != "" && s.problem == "":
		s.e.log.Info("other resolvers are heard again")
	}
}

// tell tells who came, who left, and whether contact was lost.
func (s *sharing) tell() {
	n := s.e.core.council
	if n.contact == agree.Agreeing || n.contact == agree.Alone {
		s.tellOthers(n.others)
	}
	s.tellDivided(n.duty)
	if n.contact == s.told {
		return
	}
	switch n.contact {
	case agree.Alone:
		s.event("no other resolver is heard: this one decides alone")
	case agree.Agreeing:
		s.event("verdicts are agreed with " + many(len(s.others), "other resolver", "other resolvers"))
	case agree.Silent:
		s.event("the other resolvers cannot be heard (" + s.problem + "): what was agreed stands until it changes here")
	case agree.Forgotten:
		s.event("the other resolvers were not heard for " + agree.Forget.String() + ": this one decides alone")
	}
	s.told = n.contact
}

// tellDivided tells when this resolver begins to leave checks to others, and when
// it probes all of them again.
func (s *sharing) tellDivided(d *duty) {
	left := d.left()
	if (left > 0) == s.divided {
		return
	}
	if s.divided = left > 0; s.divided {
		s.event("checks are divided: " + many(left, "check is", "checks are") + " left to other resolvers")
		return
	}
	s.event("this resolver probes all checks itself again")
}

func (s *sharing) tellOthers(list []*observer) {
	now := make([]string, len(list))
	for i, o := range list {
		now[i] = displayID(&o.Opinion)
	}
	slices.Sort(now)
	s.tellLacking(now, s.others, " is heard")
	s.tellLacking(s.others, now, " is no longer heard")
	s.others = now
	if s.untold > 0 && s.visits.take(time.Now()) {
		s.event("other resolvers came or left " + many(s.untold, "time", "times") + " more: `resolver status --all` shows who is there")
		s.untold = 0
	}
}

// tellLacking tells of each of some that is not among others, as long as it is few: who
// comes and goes all the time must not wash all else out of the history.
func (s *sharing) tellLacking(some, others []string, what string) {
	for _, name := range some {
		switch _, found := slices.BinarySearch(others, name); {
		case found:
		case s.visits.take(time.Now()):
			s.event("resolver " + name + what)
		default:
			s.untold++
		}
	}
}

// How many comings and goings of others are told: some at once, as when a fleet starts,
// then one in a while.
const (
	visitsAtOnce = 100
	visitEvery   = 10 * time.Second
)

// visits is when all room for comings and goings is free again.
type visits struct{ free time.Time }

func (v *visits) take(now time.Time) bool {
	if v.free.Before(now) {
		v.free = now
	}
	if v.free.Sub(now) > (visitsAtOnce-1)*visitEvery {
		return false
	}
	v.free = v.free.Add(visitEvery)
	return true
}

func (s *sharing) event(text string) {
	s.e.log.Info(text)
	s.e.record(journal.Event{Kind: journal.Sharing, Text: text})
}

// displayID is an observer's name for people, and where it stands.
func displayID(o *share.Opinion) string {
	if o.Zone == "" {
		return o.Observer
	}
	return o.Observer + " in " + o.Zone
}
