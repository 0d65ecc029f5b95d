package guard

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
	"github.com/detour-dns/detour/internal/guard"
)

// take learns from a reply, and returns in which way it fails the name; None for
// one that may go to the client.
func (g *Guard) take(e *entry, q *question, m *dns.Msg) failure {
	defer g.contain(e)
	j := judge(m, e.name, q.qtype)
	if j.cut && !q.udp { // nothing in it is to be relied on (RFC 2181 section 9)
		return guard.Servfail
	}
	if j.failure != guard.None {
		return j.failure
	}
	now := guard.At(time.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known.Of(q.v6()).Empty = 0
	bad := g.countForbidden(j.answer.Addrs)
	if bad < len(j.answer.Addrs) { // else the name is blocked, and leads nowhere
		if f := g.doubt(e, q, &j.answer, now); f != guard.None {
			return f
		}
	}
	if j.learn && bad == 0 {
		e.known.Attest(q.v6(), q.do, m.AuthenticatedData, &j.answer, now)
		g.learn(e, q, &j.answer, now)
	} else if e.known.Relieve(q.v6(), now) {
		e.soil(dirty)
		g.table.settle(g, e, now)
	}
	return guard.None
}

// learn takes in an answer that is believed. The entry is locked.
func (g *Guard) learn(e *entry, q *question, a *guard.Answer, now guard.Stamp) {
	switch e.known.Learn(q.v6(), a, now) {
	case guard.Refused:
		refusedTotal.WithLabelValues("private").Inc()
		e.soil(stale) // what it lacks is older now
		return
	case guard.Changed:
		e.soil(dirty)
		g.table.settle(g, e, now)
	case guard.Refreshed:
		e.soil(stale)
	}
	if _, due := e.known.Untried(&g.opts.rules, now); due {
		g.table.try(e)
	}
}

// forbidden reports whether an address is one that no proof may touch. A name that
// leads there is blocked, or worse: it is not learned.
func (g *Guard) forbidden(ip guard.Addr) bool {
	_, bad := g.opts.targets().Forbidden(ip)
	return bad
}

func (g *Guard) countForbidden(ips []guard.Addr) (n int) {
	for _, ip := range ips {
		if g.forbidden(ip) {
			n++
		}
	}
	return n
}

// doubt says whether a complete answer is not believed, where that was asked for.
// The entry is locked.
func (g *Guard) doubt(e *entry, q *question, a *guard.Answer, now guard.Stamp) failure {
	on := g.opts.rules.On
	if on.Has(guard.Change) && g.prove.probe != nil {
		fresh, refused, waiting := e.known.Strange(q.v6(), a, &g.opts.rules, now)
		if fresh > 0 {
			g.judgeDue(e, now)
		}
		if len(refused) > 0 {
			refusedTotal.WithLabelValues("change").Inc()
			e.tale.refused(&g.table.home.news, e.name, refused, now)
		}
		if waiting {
			return guard.Change
		}
	}
	if on.Has(guard.Shrink) && e.known.Shrunk(q.v6(), a, now) {
		return guard.Shrink
	}
	return guard.None
}

// negative corrects a reply that says nothing good about a family of which nothing
// is kept. That is as it should be while the other family is well; but the name
// exists, and if all of it fails that must not be cached for long.
func (g *Guard) negative(e *entry, v6 bool, f failure, m *dns.Msg) *dns.Msg {
	e.mu.Lock()
	other := e.known.Of(!v6)
	well, exists := len(other.Members) > 0 && other.Bad == 0, e.standing.Load()
	if well && f == guard.NoData {
		e.known.Of(v6).Empty = guard.At(time.Now())
		e.soil(stale)
	}
	if e.found && e.dirt == clean && !e.known.Known() {
		g.release(e)
	}
	e.mu.Unlock()
	switch {
	case f == guard.NXDomain && (well || exists) && g.opts.rules.On.Has(f):
		return denied(m, g.opts.seconds())
	case well && f == guard.NoData:
		return m
	}
	return shorten(m, g.opts.seconds())
}

// release gives back a pattern's place of a name that has no address: else a client
// could fill the pattern with names that do not exist.
func (g *Guard) release(e *entry) {
	if how, p := g.names.match(e.name); how == patterned && g.table.live.Load() == g && g.table.drop(e) {
		p.used.Add(-1)
	}
}

// failed notes that a name fails, and returns the reply with what stands in, nil
// if nothing does.
func (g *Guard) failed(e *entry, q *question, f failure) *dns.Msg {
	if !g.opts.rules.On.Has(f) {
		return nil
	}
	now := guard.At(time.Now())
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.known.Of(q.v6())
	if len(k.Members) == 0 {
		return nil
	}
	if k.Bad == 0 {
		e.soil(dirty)
		e.next = now.Add(recheck)
		g.table.watch(e)
	}
	e.known.Fail(q.v6(), f, now)
	m := g.stand(e, q, now)
	g.table.settle(g, e, now)
	return m
}

// stand makes the reply with what stands in for a failing name, nil if nothing
// does. The entry is locked.
func (g *Guard) stand(e *entry, q *question, now guard.Stamp) *dns.Msg {
	k := e.known.Of(q.v6())
	if k.Bad == 0 || e.found && !e.standing.Load() && !g.table.mayStand() {
		return nil
	}
	set, why := e.known.Stand(q.v6(), &g.opts.rules, now, g.table.home.hush(now))
	f := g.fresh(e, q.v6(), now)
	if why != guard.Stands && f == nil {
		return nil
	}
	var m *dns.Msg
	switch {
	case k.Why == guard.Bogus, q.do && (e.known.Secure || k.Signed != nil):
		m = q.whole(e.known.Held(q.v6(), &g.opts.rules, now), g.opts.seconds())
	case f != nil:
		m = q.standFresh(f, g.opts.seconds())
	default:
		m = q.standIn(&set, g.lifetime(e, k, &set, now))
	}
	if m != nil {
		g.table.watch(e)
	}
	return m
}

// lacking makes the reply to a question for a family of which the name has no address, while
// the other one stands in; nil if that is not known. Who validates is not told what nobody
// signed. The entry is locked.
func (g *Guard) lacking(e *entry, q *question, now guard.Stamp) *dns.Msg {
	if q.do && (e.known.Secure || e.known.V4.Signed != nil || e.known.V6.Signed != nil) || e.found && !e.standing.Load() || !e.known.Lacks(q.v6(), &g.opts.rules, now, g.table.home.hush(now)) {
		return nil
	}
	m := q.reply()
	q.explain(m)
	return m
}

// meanwhile makes the reply with what would stand in if the name failed now, nil if
// nothing would. It does not fail: it was we who did not ask.
func (g *Guard) meanwhile(e *entry, q *question) *dns.Msg {
	now := guard.At(time.Now())
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.known.Clone()
	kept.Fail(q.v6(), guard.Servfail, now)
	set, why := kept.Stand(q.v6(), &g.opts.rules, now, g.table.home.hush(now))
	switch {
	case why != guard.Stands:
		return nil
	case q.do && (kept.Secure || kept.Of(q.v6()).Signed != nil):
		return q.whole(kept.Held(q.v6(), &g.opts.rules, now), g.opts.seconds())
	}
	return q.standIn(&set, g.opts.seconds())
}

// lifetime is that of what stands in.
func (g *Guard) lifetime(e *entry, k *guard.Kept, set *guard.Set, now guard.Stamp) uint32 {
	ttl := g.opts.seconds()
	if set.Faint {
		ttl = min(ttl, faint)
	}
	_, urgent := e.known.Newcomers(k == &e.known.V6, &g.opts.rules)
	if urgent || g.isUnasked(e, k == &e.known.V6, now) || k.Why == guard.Change && e.known.Undecided(now) {
		return min(ttl, undecided)
	}
	return ttl
}

// faint is the lifetime in seconds of what stands in while one of it does not say any
// more who it is.
const faint = 5

// undecided is the lifetime in seconds of what stands in while a proof is under way
// that may end it.
const undecided = 2

// withdrawn reports whether an empty answer for IPv6 is a change: the name's own
// servers still answer for IPv4. Then IPv6 is forgotten.
func (g *Guard) withdrawn(ctx context.Context, e *entry, q *question, f failure) bool {
	if f != guard.NoData || !q.v6() || !e.fails(true) {
		return false
	}
	other := question{qtype: dns.TypeA}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	m, err := below.Ask(ctx, g.Next, below.Question(e.name, other.qtype, false))
	if err != nil || g.take(e, &other, m) != guard.None {
		return false
	}
	defer g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.known.Withdrawn() {
		return false
	}
	if !e.known.Failing() { // it was no failure
		e.tale = tale{}
		g.table.home.news.drop(begins, e.name)
	}
	g.table.home.news.add(change, e.name, " has no IPv6 address any more: its DNS answers for IPv4")
	e.soil(dirty)
	g.table.settle(g, e, guard.At(time.Now()))
	return true
}

// fails reports whether answers of a family fail now.
func (e *entry) fails(v6 bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.known.Of(v6).Bad != 0
}

func qtypeOf(v6 bool) uint16 {
	if v6 {
		return dns.TypeAAAA
	}
	return dns.TypeA
}

func family(v6 bool) string {
	if v6 {
		return "IPv6"
	}
	return "IPv4"
}

// settle brings the table in line with what stands in of a name now, if the guard
// is still the block's. The entry is locked.
func (t *table) settle(g *Guard, e *entry, now guard.Stamp) {
	if t.live.Load() != g {
		return
	}
	stands := false
	e.refusal = guard.Healthy
	for _, v6 := range []bool{false, true} {
		switch _, why := e.known.Stand(v6, &g.opts.rules, now, t.home.hush(now)); {
		case why == guard.Stands, g.fresh(e, v6, now) != nil:
			stands = true
		default:
			e.refusal = max(e.refusal, why)
		}
	}
	if stands && e.found && !e.standing.Load() && !t.mayStand() {
		stands, e.refusal = false, guard.Crowded
	}
	t.stand(e, stands)
	t.note(e)
	e.tale.follow(&t.home.news, e, &g.opts.rules, now)
}
