package guard

import (
	"context"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
	"github.com/detour-dns/detour/internal/guard"
)

// A name that is a CNAME fails by its own DNS, while that of its target may be well, and
// may have moved. What is stale then is the CNAME, and no more (RFC 8767 section 4).

// Times of following a chain.
const (
	followWait = patience / 2     // for a client that waits
	followTime = 30 * time.Second // what a target said counts for so long
	followGap  = time.Second      // between two questions for one
)

// far is what a target of a chain said last.
type far struct {
	chain []string // from the name to the addresses
	addrs []guard.Addr
	ttl   uint32
	at    guard.Stamp // when that was
	asked guard.Stamp // when it was asked last
	busy  bool        // it is being asked
}

// far returns what is known of one family's chain. The entry is locked.
func (e *entry) farOf(v6 bool) *far {
	if e.far == nil {
		e.far = &[2]far{}
	}
	if v6 {
		return &e.far[1]
	}
	return &e.far[0]
}

// fresh returns what stands in by what a target of the chain said a moment ago, nil if
// none did. The entry is locked.
func (g *Guard) fresh(e *entry, v6 bool, now guard.Stamp) *far {
	if e.far == nil {
		return nil
	}
	f := e.farOf(v6)
	since := now.Sub(f.at)
	if len(f.addrs) == 0 || since < 0 || since > followTime || e.known.Of(v6).Bad == 0 || len(e.known.Follow(v6, &g.opts.rules, now)) == 0 {
		return nil
	}
	return f
}

// isUnasked reports whether there is a chain whose targets were not asked of late. The
// entry is locked.
func (g *Guard) isUnasked(e *entry, v6 bool, now guard.Stamp) bool {
	var f far
	if e.far != nil {
		f = *e.farOf(v6)
	}
	since := now.Sub(f.asked)
	return (f.asked == 0 || since < 0 || since > followTime) && len(e.known.Follow(v6, &g.opts.rules, now)) > 0
}

// follows reports whether there is a chain to follow.
func (g *Guard) follows(e *entry, v6 bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known.Follow(v6, &g.opts.rules, guard.At(time.Now()))) > 0
}

// follow asks for the targets of a name's chain, one after the other until one is well,
// and reports whether it asked. Who finds that somebody else asks does not wait.
func (g *Guard) follow(ctx context.Context, e *entry, v6 bool) (asked bool) {
	defer g.contain(e)
	links := g.beginFollow(e, v6)
	if links == nil {
		return false
	}
	var found far
	for i := range links {
		if found = g.target(ctx, e, links[:i+1], v6); found.addrs != nil {
			break
		}
	}
	now := guard.At(time.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.farOf(v6)
	found.asked, found.at = f.asked, now
	*f = found
	if len(found.addrs) > 0 {
		e.soil(stale)
	}
	if e.known.Of(v6).Bad != 0 {
		g.table.settle(g, e, now)
	}
	return true
}

func (g *Guard) beginFollow(e *entry, v6 bool) []string {
	now := guard.At(time.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.farOf(v6)
	since := now.Sub(f.asked)
	links := e.known.Follow(v6, &g.opts.rules, now)
	if f.busy || f.asked != 0 && since >= 0 && since < followGap || len(links) == 0 {
		return nil
	}
	f.busy, f.asked = true, now
	return slices.Clone(links)
}

// target asks for the last of the links from a name, and returns what it leads to. There
// are no addresses if that fails too, says nothing of its own, leads to the name or to
// itself, or to what would not be believed of the name.
func (g *Guard) target(ctx context.Context, e *entry, links []string, v6 bool) (none far) {
	r := below.Question(links[len(links)-1], qtypeOf(v6), false)
	m, err := below.Ask(ctx, g.Next, r)
	if err == nil {
		if f := g.believe(e, links, v6, m); f.addrs != nil {
			return f
		}
	}
	s := g.table.server.Load()
	if s == nil || guard.Standing.Has(r.Question[0].Name) { // what stands in there a cache may say, without a mark
		return none
	}
	if m, err = below.AskAll(ctx, s, r); err != nil { // the target may lie in another block
		return none
	}
	return g.believe(e, links, v6, m)
}

// believe returns what a reply of the last of the links leads to.
func (g *Guard) believe(e *entry, links []string, v6 bool, m *dns.Msg) (none far) {
	name, qtype := links[len(links)-1], qtypeOf(v6)
	j := judge(m, name, qtype)
	chain := slices.Concat(links, j.answer.Chain)
	if j.failure != guard.None || j.cut || !j.learn || isLoop(e.name, chain) || slices.ContainsFunc(j.answer.Addrs, g.forbidden) {
		return none
	}
	now := guard.At(time.Now())
	e.mu.Lock()
	defer e.mu.Unlock()
	if q := (question{qtype: qtype}); g.doubt(e, &q, &j.answer, now) != guard.None {
		return none
	}
	return far{chain: chain, addrs: e.known.Far(v6, j.answer.Addrs, now), ttl: j.answer.TTL}
}

// isLoop reports whether a chain is too long, or comes by a name twice.
func isLoop(name string, chain []string) bool {
	for i, target := range chain {
		if target == name || slices.Contains(chain[:i], target) {
			return true
		}
	}
	return len(chain) > guard.MaxChain
}

// ahead asks for the targets while the name's own DNS is slow, so that they are known
// when the client's time is up.
func (a *asking) ahead() {
	ctx, cancel := context.WithTimeout(a.g.table.home.lifetime(), askTime)
	defer cancel()
	a.g.follow(ctx, a.e, a.q.v6())
}

// standFresh makes the reply with what a target of the chain says now.
func (q *question) standFresh(f *far, ttl uint32) *dns.Msg {
	return q.standIn(&guard.Set{Chain: f.chain, Addrs: f.addrs}, min(ttl, f.ttl))
}
