package guard

import (
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/prober"
)

// leastStep is what a clock must be set by for that to matter: nothing that is kept
// of names counts in less.
const leastStep = 10 * time.Second

// followClock moves all instants when somebody set the clock since it was looked at
// last: else a step forward would end at once what stands in for hours, and after a
// step back nothing would be due for long.
func (b *bureau) followClock(last, now time.Time) {
	if d := prober.ClockStep(last, now); d.Abs() >= leastStep {
		log.Warningf("The clock was set by %s: what is kept of guarded names is as old as it was", d.Round(time.Second))
		b.shift(d)
	}
}

// shift moves all instants by so long.
func (b *bureau) shift(d time.Duration) {
	for _, t := range b.list() {
		t.swept = t.swept.Shifted(d)
		for _, e := range t.all() {
			e.mu.Lock()
			e.shift(d)
			e.mu.Unlock()
		}
	}
	b.trade.mu.Lock()
	defer b.trade.mu.Unlock()
	b.trade.all = b.trade.all.Shifted(d)
}

// shift moves an entry's instants. It is locked.
func (e *entry) shift(d time.Duration) {
	e.known.Shift(d)
	stamps := []*guard.Stamp{&e.saved, &e.asked, &e.next, &e.looked, &e.left, &e.tale.since, &e.tale.last, &e.tale.warned}
	if far := e.far; far != nil {
		stamps = append(stamps, &far[0].at, &far[0].asked, &far[1].at, &far[1].asked)
	}
	for _, s := range stamps {
		*s = s.Shifted(d)
	}
	e.soil(stale) // on the disk it would be older, or of the future
}
