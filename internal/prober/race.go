package prober

import (
	"context"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// race runs the overlapping attempts of one probe. The first attempt runs in the
// probe's own goroutine, so a target that answers costs no second one.
type race struct {
	kind   kind
	target Target
	start  time.Time
	every  time.Duration // between the starts of two attempts
	left   int           // attempts not yet started; touched by one timer at a time

	ctx    context.Context // ends with the probe
	cancel context.CancelFunc
	wg     sync.WaitGroup // attempts started or armed, but the first

	mu    sync.Mutex
	timer *time.Timer // the next attempt
	open  int         // attempts under way
	over  bool        // an answer came
	best  outcome     // the answer, or the most telling silence so far
}

// run makes the attempts of one probe and returns the outcome that counts.
func (p *probe) run(ctx context.Context, t Target, start time.Time) outcome {
	every := p.timeout / time.Duration(p.attempts)
	if e, ok := p.kind.(*tcp); ok && e.d.plain {
		return p.runTCP(ctx, e, t, start, every)
	}
	r := p.newRace(ctx, t, start, every)
	r.arm(every)
	r.attempt()
	return r.finish()
}

// runTCP is run for tcp, where most targets answer at once: one goroutine, and
// no timer but the socket's, until the first attempt was silent for its part of
// the time.
func (p *probe) runTCP(ctx context.Context, k *tcp, t Target, start time.Time, every time.Duration) outcome {
	a := &attempt{target: t, start: start}
	o, rest := k.begin(ctx, a, start.Add(every))
	if rest == nil {
		return o
	}
	defer rest.end()
	if ctx.Err() != nil || p.attempts == 1 {
		return o
	}
	r := p.newRace(ctx, t, start, every)
	r.arm(0)
	o, _ = rest.wait(r.ctx, a, start.Add(p.timeout))
	r.settle(o)
	return r.finish()
}

// newRace returns a race with one attempt open.
func (p *probe) newRace(ctx context.Context, t Target, start time.Time, every time.Duration) *race {
	ctx, cancel := context.WithDeadline(ctx, start.Add(p.timeout))
	return &race{
		kind: p.kind, target: t, start: start, every: every, left: p.attempts - 1,
		ctx: ctx, cancel: cancel, open: 1,
	}
}

// finish waits for the end of the probe and of all that it started.
func (r *race) finish() outcome {
	<-r.ctx.Done()
	r.disarm()
	r.wg.Wait()
	r.cancel()
	return r.best
}

// arm sets the timer for the next attempt, if there is one.
func (r *race) arm(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 || r.over {
		return
	}
	r.left--
	r.wg.Add(1)
	r.timer = time.AfterFunc(d, r.next)
}

// disarm takes back an attempt that has not started.
func (r *race) disarm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if r.timer != nil && r.timer.Stop() {
		r.wg.Done()
	}
}

// next is the timer's goroutine: attempt two and later ones.
func (r *race) next() {
	defer r.wg.Done()
	r.mu.Lock()
	over := r.over
	r.open++
	r.mu.Unlock()
	if over {
		return
	}
	r.arm(r.every)
	r.attempt()
}

func (r *race) attempt() {
	a := &attempt{target: r.target, start: r.start}
	r.settle(r.kind.try(r.ctx, a))
}

// settle takes an attempt's outcome:
//
//	answer               ends the probe, unless it is over
//	local fault          ends it if no other attempt is open; else kept, should no answer come
//	silence              kept if nothing better is
func (r *race) settle(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if r.over {
		return
	}
	if alone := r.open == 0; o.cause != health.CauseTimeout && (alone || !o.cause.Local()) {
		r.over, r.best = true, o
		r.cancel()
		return
	}
	if o.cause.Local() || r.best.cause == health.CauseNone {
		r.best = o
	}
}
