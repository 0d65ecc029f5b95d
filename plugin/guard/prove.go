package guard

import (
	"context"
	"hash/maphash"
	"net/netip"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/health"
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
	spec := prober.Spec{Type: "tls", Timeout: proofTime, Attempts: 1, Verify: true}
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

// ask makes one member prove itself.
func (p prover) ask(name string, ip netip.Addr) guard.Proof {
	proof, _ := p.shake(name, ip)
	return proof
}

// shake is ask, and says why.
func (p prover) shake(name string, ip netip.Addr) (guard.Proof, health.Cause) {
	ctx, cancel := context.WithTimeout(context.Background(), proofTime)
	defer cancel()
	r := p.probe.Probe(ctx, prober.Target{Addr: ip, Port: p.port, Host: strings.TrimSuffix(name, ".")})
	proof := proofOf(&r)
	proofsTotal.WithLabelValues(proof.String()).Inc()
	return proof, r.Cause
}

// proofOf says what a probe's result proves. What is our own fault, or says
// nothing of who answered, proves nothing.
func proofOf(r *health.Result) guard.Proof {
	switch {
	case r.Cause.OK() && !r.Wildcard:
		return guard.Proven
	case r.Cause == health.CauseRefused, r.Cause == health.CauseTLSName, r.Cause == health.CauseTLSUnknown:
		return guard.Refuted
	case r.Cause == health.CauseTimeout, r.Cause == health.CauseUnreachable:
		return guard.Silent
	}
	return guard.Unproven
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
			if !g.table.home.allow(ip, false, now) {
				return
			}
			e.known.Begun(v6, ip, now, grace)
			go g.proveMember(e, v6, ip)
		}
	}
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
			if g.table.home.allow(ip, true, now) {
				e.known.Begun(v6, ip, now, g.grace(e))
				go g.proveMember(e, v6, ip)
			}
		}
	}
}

// proveMember runs a proof and takes in what it said.
func (g *Guard) proveMember(e *entry, v6 bool, ip netip.Addr) {
	defer g.contain(e)
	p := g.prove.ask(e.name, ip)
	now := guard.At(time.Now())
	g.table.home.note(p, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known.Prove(v6, ip, p, now) {
		e.soil(dirty)
		e.tale.proof(&g.table.home.news, e.name, ip, p)
	}
	g.table.settle(g, e, now)
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
	if !g.table.home.allow(ip, false, now) {
		return // later
	}
	e.known.Tried = now
	g.table.tried(e)
	go func() {
		defer g.contain(e)
		p := g.prove.ask(e.name, ip)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.soil(dirty)
		if p == guard.Proven {
			e.known.Prove(ip.Is6(), ip, p, guard.At(time.Now()))
			g.table.note(e)
		}
	}()
}

// judgeDue begins the proofs of addresses of another place, before they are
// believed, as far as the budget goes. The entry is locked.
func (g *Guard) judgeDue(e *entry, now guard.Stamp) {
	for _, ip := range e.known.Doubted(now) {
		if !g.table.home.allow(ip, false, now) {
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
	p, cause := g.prove.shake(e.name, ip)
	e.mu.Lock()
	defer e.mu.Unlock()
	if cause == health.CauseRefused && !e.known.Proves { // it may serve nothing on that port
		p = guard.Unproven
	}
	e.known.Judge(ip, p, guard.At(time.Now()))
	e.next = 0
}
