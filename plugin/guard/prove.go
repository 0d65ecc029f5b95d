package guard

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/prober"
)

// proofTime is how long a proof may take.
const proofTime = 2 * time.Second

// tlsPort is where a name proves who it is.
const tlsPort = 443

// prover makes members prove that they are the name's.
type prover struct {
	probe prober.Prober // nil: nothing is demanded
	port  uint16
}

// newProver makes the prover for a demand.
func newProver(o *options) (prover, error) {
	spec := prober.Spec{Type: "tls", Timeout: proofTime, Attempts: 1, Verify: true, Identify: true}
	p := prover{port: tlsPort}
	switch o.rules.Demand {
	case guard.Age:
		return prover{}, nil
	case guard.TCP:
		spec, p.port = prober.Spec{Type: "tcp", Timeout: proofTime, Attempts: 1}, o.port
	case guard.Auto, guard.TLS:
	}
	var err error
	p.probe, err = prober.New(spec, prober.Env{
		Forbidden: o.targets().Refuses,
		Dial:      o.dial,
		Roots:     o.roots,
	})
	return p, err
}

var seed = maphash.MakeSeed()

// spread is this process's share of the time over which first proofs are spread.
func spread(name string) time.Duration {
	return time.Duration(maphash.String(seed, name) % uint64(guard.Spread)) // #nosec G115 -- below 10 s
}

// proveDue begins the proofs that are due for a failing name, as far as the budget
// goes. The entry is locked.
func (g *Guard) proveDue(e *entry, now guard.Stamp) {
	if g.prove.probe == nil {
		return
	}
	g.judgeDue(e, now)
	grace := g.grace(e)
	for _, v6 := range []bool{false, true} {
		due := e.known.Refutations(v6, now, spread(e.name)+grace)
		if set, why := e.known.Stand(v6, &g.opts.rules, now, false); why == guard.Stands {
			due = append(due, e.known.Due(v6, &set, &g.opts.rules, now, spread(e.name)+grace)...)
		}
		for _, ip := range due {
			need := e.need(v6, ip, guard.Plain)
			switch isLet := g.table.home.allow(ip, need, now); {
			case !isLet && need == guard.Spare:
				continue // others may have room
			case !isLet:
				return
			}
			e.known.Begun(v6, ip, now, grace)
			go g.proveMember(e, v6, ip)
		}
	}
}

// need is how much depends on the proof of a member. The entry is locked.
func (e *entry) need(v6 bool, ip netip.Addr, own guard.Need) guard.Need {
	if e.known.IsLent(v6, ip) {
		return guard.Spare
	}
	return own
}

// How long a client waits for the proof of a newcomer, and how often room for it in
// the budget is looked for.
const (
	newcomerWait = 1200 * time.Millisecond
	budgetTick   = 100 * time.Millisecond
)

// proveNewcomers makes members of the last good answer prove themselves, where none
// of these is good and the name fails, until one did. It reports whether there were
// any, and waits only so long.
func (g *Guard) proveNewcomers(e *entry, v6 bool) bool {
	if g.prove.probe == nil || !g.hasUrgent(e, v6) {
		return false
	}
	end := time.Now().Add(newcomerWait)
	tick := time.NewTicker(budgetTick)
	defer tick.Stop()
	for now := time.Now(); now.Before(end) && g.hasNewcomers(e, v6); now = <-tick.C {
		g.proveUrgent(e, guard.At(now))
	}
	return true
}

// hasUrgent reports whether there are newcomers to ask at once.
func (g *Guard) hasUrgent(e *entry, v6 bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known.Urgent(v6, &g.opts.rules)) > 0
}

// hasNewcomers reports whether nothing of the last good answer is good yet, and
// something may be.
func (g *Guard) hasNewcomers(e *entry, v6 bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, urgent := e.known.Newcomers(v6, &g.opts.rules)
	return urgent
}

// proveUrgent begins the proof of a newcomer, as far as the budget goes.
func (g *Guard) proveUrgent(e *entry, now guard.Stamp) {
	if g.prove.probe == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v6 := range []bool{false, true} {
		for _, ip := range e.known.Urgent(v6, &g.opts.rules) {
			if e.known.MayAsk(v6, ip, now) && g.table.home.allow(ip, e.need(v6, ip, guard.Urgent), now) {
				e.known.Begun(v6, ip, now, g.grace(e))
				go g.proveMember(e, v6, ip)
			}
		}
	}
}

// proveMember runs a proof and takes in what it said. One that contradicts is confirmed
// or not by a second one at once.
func (g *Guard) proveMember(e *entry, v6 bool, ip netip.Addr) {
	defer g.contain(e)
	for g.testify(e, v6, ip) && g.mayConfirm(e, v6, ip) {
	}
}

// testify runs a proof, takes in what it said, and reports whether a second one would
// decide.
func (g *Guard) testify(e *entry, v6 bool, ip netip.Addr) (doubtful bool) {
	w := g.prove.ask(e.name, ip)
	now := guard.At(time.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	isLent := e.known.IsLent(v6, ip)
	if !isLent { // who lends chooses what it says, and would make others look deaf
		g.table.home.note(w.Proof, now)
	}
	isNew := e.known.Testify(v6, ip, &w, now)
	doubtful = w.Proof == guard.Contradicts && e.known.Doubtful(v6, ip, now)
	if isNew {
		e.soil(dirty)
		if !isLent || w.Proof == guard.Proven { // what never stood in is no news
			e.tale.proof(&g.table.home.news, e, v6, ip, doubtful)
		}
	}
	g.table.settle(g, e, now)
	return doubtful && g.table.live.Load() == g
}

// confirmAfter is how long after a proof that contradicts the second one is made. It
// has to end within guard.Twice.
const confirmAfter = 2 * time.Second

// mayConfirm waits until a second proof may be made, and reports whether there was room
// for it in time.
func (g *Guard) mayConfirm(e *entry, v6 bool, ip netip.Addr) bool {
	e.mu.Lock()
	need := e.need(v6, ip, guard.Urgent)
	e.mu.Unlock()
	life := g.table.home.lifetime()
	begun := time.Now()
	tick := time.NewTicker(budgetTick)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return false
		case now := <-tick.C:
			switch since := now.Sub(begun); {
			case since > guard.Twice-2*proofTime:
				return false
			case since >= confirmAfter && g.table.home.allow(ip, need, guard.At(now)):
				return true
			}
		}
	}
}

// trial shakes hands with a healthy name once, so that it is known what can be
// demanded of it later. Only a success counts: the name may serve something else.
func (g *Guard) trial(e *entry, now guard.Stamp) {
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	ip, due := e.known.Untried(&g.opts.rules, now)
	if g.prove.probe == nil || !due {
		g.table.tried(e)
		return
	}
	if !g.table.home.allow(ip, guard.Plain, now) {
		return // later
	}
	e.known.Trying(ip, now)
	g.table.tried(e)
	go func() {
		defer g.contain(e)
		w := g.prove.ask(e.name, ip)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.soil(dirty)
		if w.Proof == guard.Proven {
			e.known.Testify(ip.Is6(), ip, &w, guard.At(time.Now()))
			g.table.note(e)
		}
	}()
}

// judgeDue begins the proofs of addresses of another place, before they are
// believed, as far as the budget goes. The entry is locked.
func (g *Guard) judgeDue(e *entry, now guard.Stamp) {
	for _, ip := range e.known.Doubted(now) {
		if !g.table.home.allow(ip, guard.Plain, now) {
			return
		}
		e.known.Judging(ip, now)
		go g.judge(e, ip)
	}
}

// judge runs the proof of a strange address. The name is asked for again at once,
// now that more is known.
func (g *Guard) judge(e *entry, ip netip.Addr) {
	defer g.contain(e)
	w := g.prove.ask(e.name, ip)
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.known.Weigh(&w)
	if p == guard.Contradicts {
		p = guard.Refuted // nothing is lost by it: the kept addresses stay
	}
	if !e.known.Proves && (w.Why == guard.Refusing || w.Why == guard.OtherText) { // it may serve something else on that port
		p = guard.Unproven
	}
	e.known.Judge(ip, p, guard.At(time.Now()))
	e.next = 0
}
