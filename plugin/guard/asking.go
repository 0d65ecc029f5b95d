package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metadata"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
	"github.com/detour-dns/detour/internal/guard"
)

// patience is how long a client waits for backends that are silent (RFC 8767
// section 5).
const patience = 1800 * time.Millisecond

// guarded answers a question for the addresses of a guarded name.
func (g *Guard) guarded(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, e *entry) (int, error) {
	if note := below.NoteOf(ctx); note != nil && note.Truth {
		return g.odd(ctx, w, r) // which a cache above does not keep: of a name that fails it would keep the failure
	}
	if s, ok := ctx.Value(dnsserver.Key{}).(*dnsserver.Server); ok && g.table.server.Load() != s {
		g.table.server.Store(s)
	}
	a := &asking{ResponseWriter: w, g: g, e: e, q: questionOf(r)}
	a.q.udp = isUDP(w)
	switch m := a.begin(guard.At(time.Now())); {
	case m != nil:
		return a.send(m)
	case !a.kept:
		return plugin.NextOrFailure(pluginName, g.Next, ctx, a, r)
	}
	if a.chained {
		t := time.AfterFunc(followWait, a.ahead)
		defer t.Stop()
	}
	if a.q.udp {
		t := time.AfterFunc(patience, func() {
			defer survive(e.name)
			a.tooLate()
		})
		defer t.Stop()
		own := *r // plugins below change its ID while they ask
		return a.run(ctx, &own)
	}
	return a.apart(ctx, r.Copy())
}

func isUDP(w dns.ResponseWriter) bool {
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	return udp
}

// asking is a question for a guarded name on its way through the plugins below.
// It is the writer that they have. The client gets one reply: the one from below,
// what stands in for it, or what stands in for none.
type asking struct {
	dns.ResponseWriter
	g    *Guard
	e    *entry
	q    question
	kept bool // addresses of this family are

	chained bool // so is a chain that leads to them

	mu   sync.Mutex
	sent bool // the client has a reply
	over bool // nothing is written any more

	// What follows belongs to the goroutine that asks below.
	wrote   bool
	bad     *dns.Msg   // the reply that was not passed on
	failure failure    // what it says
	note    below.Note // of what plugins below did to the question
}

// begin returns what stands in at once, if the name is known to fail.
func (a *asking) begin(now guard.Stamp) *dns.Msg {
	e := a.e
	defer a.g.contain(e)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = now
	m, k := a.g.stand(e, &a.q, now), e.known.Of(a.q.v6())
	a.chained = len(k.Links) > 0
	if a.kept = len(k.Members) > 0; !a.kept {
		return a.g.lacking(e, &a.q, now)
	}
	if m != nil {
		answersTotal.WithLabelValues(k.Why.String()).Inc()
	}
	return m
}

// send writes the reply, unless there was one.
func (a *asking) send(m *dns.Msg) (int, error) {
	a.once(func() { _ = a.ResponseWriter.WriteMsg(m) }) // a client that left is no error of ours
	return dns.RcodeSuccess, nil
}

// once writes, unless the question is over, and reports whether the client has a
// reply.
func (a *asking) once(write func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.over, a.sent = true, true
		write()
	}
	return a.sent
}

// standIn writes a reply with what stands in, unless there was one, and reports
// whether the client has a reply.
func (a *asking) standIn(m *dns.Msg, why string) bool {
	return a.once(func() {
		answersTotal.WithLabelValues(why).Inc()
		_ = a.ResponseWriter.WriteMsg(m) // as in send
	})
}

// overload is why an answer is a kept one while the name itself is well.
const overload = "overload"

// finish ends the question, so that nothing is written any more, and reports
// whether the client has a reply.
func (a *asking) finish() (sent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.sent
}

// tooLate answers with what stands in because nothing was heard, and reports
// whether the client has a reply.
func (a *asking) tooLate() bool {
	m := a.g.failed(a.e, &a.q, guard.Timeout)
	return m != nil && a.standIn(m, guard.Timeout.String())
}

// outcome is what ServeDNS returns.
type outcome struct {
	rc  int
	err error
}

// apart asks below on a goroutine of its own, for transports on which one question
// holds up the next ones.
func (a *asking) apart(ctx context.Context, r *dns.Msg) (int, error) {
	ended := make(chan outcome, 1)
	own := ownMetadata(context.WithoutCancel(ctx))
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o = outcome{dns.RcodeServerFailure, fmt.Errorf("a plugin below guard panicked: %v", p)}
			}
			ended <- o
		}()
		o.rc, o.err = a.run(own, r)
	}()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case o := <-ended:
		return a.hand(ctx, own, o)
	case <-t.C:
	}
	if a.tooLate() {
		return dns.RcodeSuccess, nil
	}
	return a.hand(ctx, own, <-ended)
}

// ownMetadata returns a context with a copy of its metadata: that is a plain map,
// which plugins above read when we have returned and plugins below still write.
func ownMetadata(ctx context.Context) context.Context {
	own := metadata.ContextWithMetadata(ctx)
	maps.Copy(metadata.ValueFuncs(own), metadata.ValueFuncs(ctx))
	return own
}

// hand returns an outcome, and the metadata that plugins below set, to those above.
func (a *asking) hand(ctx, own context.Context, o outcome) (int, error) {
	if above := metadata.ValueFuncs(ctx); above != nil {
		maps.Copy(above, metadata.ValueFuncs(own))
	}
	return o.rc, o.err
}

// run asks below, and where that fails answers with what stands in.
func (a *asking) run(ctx context.Context, r *dns.Msg) (int, error) {
	rc, err := plugin.NextOrFailure(pluginName, a.g.Next, below.WithNote(ctx, &a.note), a, r)
	switch {
	case a.note.Refused:
		if m := a.g.meanwhile(a.e, &a.q); m != nil {
			a.standIn(m, overload)
			return dns.RcodeSuccess, nil
		}
		return a.truth(rc, err)
	case !a.wrote:
		a.failure = unwritten(ctx, rc, err)
	}
	if a.failure == guard.None || !a.g.opts.rules.On.Has(a.failure) {
		return a.truth(rc, err)
	}
	if m := a.second(ctx, r); m != nil {
		return a.send(m)
	}
	if m := a.standFor(ctx); m != nil {
		a.standIn(m, a.failure.String())
		return dns.RcodeSuccess, nil
	}
	return a.truth(rc, err)
}

// standFor notes the failure, and returns the reply with what stands in for it, nil
// if nothing does or it was no failure. The backends are asked again only where
// something could.
func (a *asking) standFor(ctx context.Context) *dns.Msg {
	v6 := a.q.v6()
	m := a.g.failed(a.e, &a.q, a.failure)
	if m == nil && !a.g.hasUrgent(a.e, v6) && !a.g.follows(a.e, v6) || a.g.withdrawn(ctx, a.e, &a.q, a.failure) {
		return nil
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), followWait)
	defer cancel()
	if asked := a.g.follow(wait, a.e, v6); a.g.proveNewcomers(a.e, v6) || asked {
		m = a.g.failed(a.e, &a.q, a.failure)
	}
	return m
}

// truth passes on what was said below.
func (a *asking) truth(rc int, err error) (int, error) {
	switch {
	case a.bad != nil:
		return a.send(shorten(a.bad, a.g.opts.seconds()))
	case a.finish(): // by the time that was up
		return dns.RcodeSuccess, nil
	}
	return rc, err
}

// unwritten says what it means that plugins below returned without a reply.
func unwritten(ctx context.Context, rc int, err error) failure {
	var ne net.Error
	switch {
	case ctx.Err() != nil: // the client left
		return guard.None
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()):
		return guard.Timeout
	case rc == dns.RcodeNameError:
		return guard.NXDomain
	case err != nil || !plugin.ClientWrite(rc):
		return guard.Servfail
	}
	return guard.None // dropped on purpose
}

// WriteMsg implements dns.ResponseWriter for the plugins below. A good reply goes
// on to the client as it is.
func (a *asking) WriteMsg(m *dns.Msg) error {
	a.wrote = true
	switch {
	case m == nil:
		return a.ResponseWriter.WriteMsg(m)
	case a.note.Refused: // by us; the name's own DNS said nothing
		a.bad = m
		return nil
	}
	f := a.g.take(a.e, &a.q, m)
	switch {
	case f == guard.None:
		_, err := a.send(m)
		return err
	case !a.kept:
		_, err := a.send(a.g.negative(a.e, a.q.v6(), f, m))
		return err
	}
	a.bad, a.failure = m, f
	return nil
}

// Write implements dns.ResponseWriter for plugins that write wire format. What
// cannot be read is passed on as it is, if nothing was.
func (a *asking) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		a.wrote = true
		a.once(func() { _, err = a.ResponseWriter.Write(b) })
		return len(b), err
	}
	return len(b), a.WriteMsg(m)
}

// Second opinions: at most two more, and in half of the client's time.
const opinions = 2

// second asks again where there are several upstreams, until another one than
// before answers, and returns a good reply. It is nil if the others say the same.
func (a *asking) second(ctx context.Context, r *dns.Msg) *dns.Msg {
	if a.failure == guard.Timeout {
		return nil
	}
	last := upstream(ctx)
	own := a.q
	own.udp = false // it is asked by TCP where UDP was too small
	end := time.Now().Add(patience / 2)
	for n := 0; n < opinions && time.Now().Before(end); n++ {
		again := metadata.ContextWithMetadata(ctx)
		m, err := below.Ask(again, a.g.Next, r.Copy())
		asked := upstream(again)
		switch {
		case err != nil:
			return nil
		case a.g.take(a.e, &own, m) == guard.None:
			return m
		case asked == "" || last != "" && asked != last:
			return nil
		}
		last = asked
	}
	return nil
}

// upstream returns which upstream `forward` asked, "" if it is not known.
func upstream(ctx context.Context) string {
	if f := metadata.ValueFunc(ctx, "forward/upstream"); f != nil {
		return f()
	}
	return ""
}
