package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/admin"
)

// tale is the story as it is told: scenes that change something, and what the
// resolver makes of it, told from its own API.
type tale struct {
	*stage
	clients *clients
	start   time.Time
	scene   scene
	since   time.Time // of the scene
	cut     time.Time
	was     *admin.Service
	is      *admin.Service
}

// scene is a part of the story. Each ends when the resolver has done what it
// should, or after a while.
type scene int

const (
	calm  scene = iota // all is well
	dying              // the first region is silent, and still answered
	away               // answers moved
	back               // the region answers again, traffic returns
	over               // all is well again
	ended
)

// look is how often the resolver is asked what it thinks.
const look = 50 * time.Millisecond

// ErrStuck is returned if the story did not go on.
var ErrStuck = errors.New("the story did not go on as it should: this machine may be too busy, or this is a bug")

func newTale(s *stage, c *clients) *tale {
	now := time.Now()
	return &tale{stage: s, clients: c, start: now, since: now}
}

func (t *tale) tell(ctx context.Context) error {
	t.head()
	rows, looks := time.NewTicker(t.Pace.Row), time.NewTicker(look)
	defer rows.Stop()
	defer looks.Stop()
	for t.scene != ended {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rows.C:
			t.print(t.clients.tally.take())
		case <-looks.C:
			if err := t.follow(ctx); err != nil {
				return err
			}
		}
	}
	t.summary()
	return nil
}

// follow asks the resolver, tells what is new and moves the story on.
func (t *tale) follow(ctx context.Context) error {
	is, err := t.api.Service(ctx, service)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case time.Since(t.start) > t.Pace.Limit:
		return ErrStuck
	}
	t.was, t.is = t.is, is
	if t.was != nil {
		for i := range is.Pools {
			t.news(&t.was.Pools[i], &is.Pools[i])
		}
	}
	t.advance(time.Now())
	return nil
}

// advance begins the next scene if this one is done.
func (t *tale) advance(now time.Time) {
	first := &t.is.Pools[0]
	lasted := now.Sub(t.since)
	switch {
	case t.scene == calm && lasted >= t.Pace.Calm:
		t.cutOff(now)
	case t.scene == dying && !first.InUse:
		t.note("answers moved to %s, %s after the cut", strings.Join(t.is.Using, ", "), seconds(now.Sub(t.cut)))
		t.begin(away, now)
	case t.scene == away && lasted >= t.Pace.Away:
		t.restore(now)
	case t.scene == back && first.InUse && first.Share == 100:
		t.note("100 %%: everybody is back at %s", first.Region)
		t.begin(over, now)
	case t.scene == over && lasted >= 2*t.Pace.Row && t.Loop:
		t.summary()
		t.say("\nOnce more, until Ctrl-C.\n")
		t.start = now
		t.head()
		t.begin(calm, now)
	case t.scene == over && lasted >= 2*t.Pace.Row:
		t.begin(ended, now)
	}
}

func (t *tale) begin(s scene, now time.Time) { t.scene, t.since = s, now }

func (t *tale) cutOff(now time.Time) {
	r := t.regions[0]
	t.cut = now
	r.silent.Store(true)
	t.clients.tally.cut(0)
	t.note("%s is now cut off: its server takes connections and never answers", r.name)
	t.begin(dying, now)
}

func (t *tale) restore(now time.Time) {
	r := t.regions[0]
	t.clients.tally.whole()
	r.silent.Store(false)
	t.note("%s answers again", r.name)
	t.begin(back, now)
}

// news tells what changed in a region since the last look.
func (t *tale) news(was, is *admin.Pool) {
	a, b := &was.Endpoints[0], &is.Endpoints[0]
	switch {
	case a.Verdict != "down" && b.Verdict == "down":
		t.note("%d failed probes: %s is down (%s)", fall, is.Region, b.Cause)
	case a.Verdict == "down" && b.Verdict == "up":
		t.note("%s is healthy again; hold-down and failback: %s", is.Region, seconds(t.Pace.Failback))
	}
	if ramping(is) && is.Share != was.Share {
		t.note("ramp %d %%: that share of the clients goes back to %s", is.Share, is.Region)
	}
}

func ramping(p *admin.Pool) bool { return p.Share > 0 && p.Share < 100 }

func (t *tale) note(format string, args ...any) {
	t.say("%s  -- %s", t.clock(), fmt.Sprintf(format, args...))
}

func (t *tale) summary() {
	answers, last := t.clients.tally.harm()
	all, bad := t.clients.tally.totals()
	after := time.Duration(0)
	if answers > 0 {
		after = last.Sub(t.cut)
	}
	t.say("")
	t.say("From the cut to the last answer with the dead region: %s (%d answers).", seconds(after), answers)
	t.say("Answers in all: %d. Answers that failed: %d.", all, bad)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
