package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/share"
)

// How many observers there are, and how long each is watched. The largest crowd is
// the one that is judged; the others say how traffic grows.
const (
	crowdSize  = 50
	atRest     = 30 * time.Second
	rounds     = 20 // of one second, with all observers
	fewRounds  = 10 // with fewer
	settleTime = 3 * time.Second
)

// agreeing measures P8: what observers cost each other and their store, and how
// soon they have heard each other. It runs in a process of its own, with the server
// as another.
func (b *bench) agreeing() error {
	s, err := b.startStore("P8", "agree")
	if s == nil || err != nil {
		return err
	}
	defer s.stop()
	o, err := b.opine()
	if err != nil {
		return err
	}
	r, err := startRelay(s.addr)
	if err != nil {
		return err
	}
	m := &meeting{store: s, relay: r, told: o}
	var sizes, traffic []float64
	for _, n := range []int{10, 25} {
		f, err := m.few(n)
		if err != nil {
			return err
		}
		sizes, traffic = append(sizes, float64(n)), append(traffic, f.each.bytes)
	}
	f, listed, err := b.all(m)
	if err != nil {
		return err
	}
	b.failing(f)
	b.growth(append(sizes, crowdSize), append(traffic, f.each.bytes))
	b.listing(listed)
	return nil
}

// meeting is where observers meet, and what they will say.
type meeting struct {
	store *store
	relay *relay
	told  *opinions
	crowd *crowd
	round int
}

// gather starts observers that hold all Up, and returns when they know each other.
func (m *meeting) gather(n int) (err error) {
	if m.crowd, err = startCrowd(n, m.relay.l.Addr().String()); err != nil {
		return err
	}
	m.round = 1
	if _, err = m.crowd.say(m.round, m.told.up); err == nil {
		_, err = m.crowd.agreed(m.round)
	}
	if err != nil {
		m.crowd.close()
		return err
	}
	time.Sleep(settleTime)
	return nil
}

// few measures a failure with some observers.
func (m *meeting) few(n int) (*failure, error) {
	if err := m.gather(n); err != nil {
		return nil, err
	}
	defer m.crowd.close()
	return m.fail(fewRounds, m.told.failed)
}

// all measures everything with the whole crowd: at rest, in a region's failure, and
// while each says as much of a region as it lists one by one.
func (b *bench) all(m *meeting) (failed, listed *failure, err error) {
	if err := m.gather(crowdSize); err != nil {
		return nil, nil, err
	}
	defer m.crowd.close()
	before := m.relay.now()
	time.Sleep(atRest)
	b.resting(m.relay.since(before, 1))
	if failed, err = m.fail(rounds, m.told.failed); err != nil {
		return nil, nil, err
	}
	listed, err = m.fail(fewRounds, m.told.listed)
	return failed, listed, err
}

// failure is what was measured while all observers said something else every second.
type failure struct {
	each      passed          // by one observer in a second
	delay     []time.Duration // from the last Publish of a round until all had heard it, sorted
	store, us float64         // processor time, in cores
}

func (f *failure) processors() string {
	return fmt.Sprintf("%.0f %%, %.0f %% of a core", 100*f.store, 100*f.us)
}

// fail has all observers say something else every second.
func (m *meeting) fail(rounds int, list []share.Opinion) (*failure, error) {
	storeBefore, usBefore, err := m.spent()
	if err != nil {
		return nil, err
	}
	before, began, first := m.relay.now(), time.Now(), m.round+1
	var written []time.Time
	for i := range rounds {
		m.round++
		last, err := m.crowd.say(m.round, list)
		if err != nil {
			return nil, err
		}
		written = append(written, last)
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Second)))
	}
	took := time.Since(began).Seconds()
	f := &failure{each: m.relay.since(before, took*float64(len(m.crowd.all)))}
	storeAfter, usAfter, err := m.spent()
	if err != nil {
		return nil, err
	}
	f.store, f.us = (storeAfter-storeBefore).Seconds()/took, (usAfter-usBefore).Seconds()/took
	for i, at := range written {
		last, err := m.crowd.agreed(first + i)
		if err != nil {
			return nil, err
		}
		f.delay = append(f.delay, max(0, last.Sub(at)))
	}
	slices.Sort(f.delay)
	return f, nil
}

// spent is the processor time of the store and of this process.
func (m *meeting) spent() (store, us time.Duration, err error) {
	if store, err = cpu(m.store.cmd.Process.Pid); err == nil {
		us, err = cpu(os.Getpid())
	}
	return store, us, err
}

// resting appends the rows of what passed at rest.
func (b *bench) resting(p passed) {
	each := crowdSize * atRest.Seconds()
	b.rows = append(b.rows, row{
		ID: "P8", What: "50 resolvers, 10,000 checks, at rest for 30 s: writes", Ours: fmt.Sprintf("%.0f", p.asked[writeKeys]),
		Other: "target", Target: "0", Met: p.asked[writeKeys] == 0,
	})
	b.row("P8", "the same: traffic of one resolver", fmt.Sprintf("%s, %.2f reads/s, %.2f renewals/s", kilo(p.bytes/each),
		(p.asked[readOp]+p.asked[readWho]+p.asked[readCtl])/each, p.asked[renewal]/each))
}

// failing appends the rows of a region's failure.
func (b *bench) failing(f *failure) {
	b.atMost("a region of 3,334 checks fails, changed every second: writes of one resolver", f.each.asked[writeKeys], 1, "/s")
	b.atMost("the same: reads of op/ by one resolver", f.each.asked[readOp], 2, "/s")
	b.atMost("the same: reads of who/ by one resolver", f.each.asked[readWho], 2, "/s")
	b.row("P8", "the same: from the last write until all have heard all, median", fmt.Sprintf("%.2f s", f.delay[len(f.delay)/2].Seconds()))
	b.atMost(fmt.Sprintf("the same: p99, as the worst of %d", rounds), f.delay[len(f.delay)-1].Seconds(), 2, "s")
	b.row("P8", "the same: processor of the store, of all 50 resolvers", f.processors())
}

// listing appends the rows of a failure that is not summed up.
func (b *bench) listing(f *failure) {
	b.row("P8", fmt.Sprintf("%d of them Down, not summed up: traffic of one resolver, of the store", mostListed), kilo(f.each.bytes)+", "+kilo(f.each.bytes*crowdSize))
	b.row("P8", fmt.Sprintf("the same: from the last write until all have heard all, worst of %d", fewRounds), fmt.Sprintf("%.2f s", f.delay[len(f.delay)-1].Seconds()))
	b.row("P8", "the same: processor of the store, of all 50 resolvers", f.processors())
}

// growth appends the row that says how the traffic of one observer grows with
// their number: the line through the points by least squares.
func (b *bench) growth(n, bytes []float64) {
	var sx, sy, sxx, sxy float64
	points := ""
	for i := range n {
		sx, sy, sxx, sxy = sx+n[i], sy+bytes[i], sxx+n[i]*n[i], sxy+n[i]*bytes[i]
		points += fmt.Sprintf("%.0f: %s, ", n[i], kilo(bytes[i]))
	}
	k := float64(len(n))
	slope := (k*sxy - sx*sy) / (k*sxx - sx*sx)
	b.row("P8", "the same: traffic of one among n resolvers ("+strings.TrimSuffix(points, ", ")+")",
		fmt.Sprintf("%.1f + %.2f n kB/s", (sy-slope*sx)/k/1e3, slope/1e3))
	b.row("P8", "the same: traffic of the store, with 50", kilo(bytes[len(bytes)-1]*crowdSize))
}

// atMost appends a figure of P8 that must not be above a limit.
func (b *bench) atMost(what string, v, limit float64, unit string) {
	fmt.Fprintf(os.Stderr, "P8 %s: %.3f %s\n", what, v, unit)
	b.rows = append(b.rows, row{
		ID: "P8", What: what, Ours: fmt.Sprintf("%.2f %s", v, unit), Other: "target", Ratio: fmt.Sprintf("%.2f", v/limit),
		Target: fmt.Sprintf("<= %g %s", limit, unit), Met: v <= limit,
	})
}

// row appends a figure without a target.
func (b *bench) row(id, what, ours string) {
	fmt.Fprintf(os.Stderr, "%s %s: %s\n", id, what, ours)
	b.rows = append(b.rows, row{ID: id, What: what, Ours: ours, Met: true})
}

func kilo(bytes float64) string { return fmt.Sprintf("%.1f kB/s", bytes/1e3) }
