package guard

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/detour-dns/detour/internal/below"
	"github.com/detour-dns/detour/internal/guard"
)

const (
	beat    = 500 * time.Millisecond
	recheck = 5 * time.Second  // between background questions for a name that fails
	unasked = 10 * time.Minute // so long after its last question a name is left alone
	atOnce  = 256              // background questions in flight
	askTime = 5 * time.Second  // at most for one
)

// beat does what is due for every name that fails, or is new. It is called again
// and again by one goroutine.
func (t *table) beat(now guard.Stamp) {
	g := t.live.Load()
	if g == nil {
		return
	}
	defer survive("server block " + t.key)
	g.names.refresh(now, t.home.trade.anew)
	t.sweep(g, now)
	watched := t.list(t.watched)
	for _, e := range watched {
		g.proveUrgent(e, now)
	}
	for _, e := range watched {
		g.attend(e, now)
	}
	for _, e := range t.list(t.trials) {
		g.trial(e, now)
	}
}

// sweep forgets, once a minute, names that a pattern found and that nobody asked
// for in a week: others may have their places.
func (t *table) sweep(g *Guard, now guard.Stamp) {
	if now.Sub(t.swept) < time.Minute {
		return
	}
	t.swept = now
	for _, e := range t.all() {
		e.mu.Lock()
		idle := e.found && now.Sub(max(e.asked, e.known.Good())) > guard.Oldest
		if idle {
			e.known.Accept(now)
			t.stand(e, false)
		}
		e.mu.Unlock()
		if !idle {
			continue
		}
		t.drop(e)
		if how, p := g.names.match(e.name); how == patterned {
			p.used.Add(-1)
		}
	}
}

// attend does what is due for a name that fails, or did a moment ago.
func (g *Guard) attend(e *entry, now guard.Stamp) {
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	g.table.settle(g, e, now)
	failing := e.known.Failing()
	how, _ := g.names.match(e.name)
	switch {
	case how == unguarded, !failing && e.tale.over(now), failing && now.Sub(e.asked) > unasked:
		e.tale.end(&g.table.home.news, e)
		g.table.stand(e, false)
		g.table.unwatch(e)
		return
	case !failing:
		return
	}
	g.proveDue(e, now)
	if e.asking || now < e.next && e.next.Sub(now) <= recheck { // a clock may be set back
		return
	}
	select {
	case g.table.home.slots <- struct{}{}:
		e.asking = true
		e.next = now.Add(recheck - rand.N(time.Second))
		go func() {
			defer func() { <-g.table.home.slots }()
			defer g.contain(e)
			g.again(e)
		}()
	default: // more names fail than can be asked for at a time; their turn comes
	}
}

// again asks for the families that fail, to hear when they do not, and for one that there
// was not, which may be there now.
func (g *Guard) again(e *entry) {
	for _, v6 := range []bool{false, true} {
		e.mu.Lock()
		k := e.known.Of(v6)
		bad, lacks, do := k.Bad != 0, k.Empty != 0, k.Signed != nil
		e.mu.Unlock()
		if bad {
			g.followAgain(e, v6)
		}
		if bad || lacks {
			g.askAgain(e, v6, do)
		}
	}
	e.mu.Lock()
	e.asking = false
	e.mu.Unlock()
}

// followAgain asks for the targets of a chain.
func (g *Guard) followAgain(e *entry, v6 bool) {
	ctx, cancel := context.WithTimeout(g.table.home.lifetime(), askTime)
	defer cancel()
	g.follow(ctx, e, v6)
}

// askAgain asks for one family, and takes in what is said.
func (g *Guard) askAgain(e *entry, v6, do bool) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	q := question{qtype: qtypeOf(v6), do: do}
	r := below.Question(e.name, q.qtype, do)
	r.AuthenticatedData = true // say whether it was validated
	f := guard.Timeout
	if m, err := below.Ask(ctx, g.Next, r); err == nil {
		f = g.take(e, &q, m)
	}
	if f == guard.None || g.table.live.Load() != g { // a chain that was shut down fails
		return
	}
	_ = g.failed(e, &q, f)
	_ = g.withdrawn(ctx, e, &q, f)
}
