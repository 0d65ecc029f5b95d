package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

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
	a := &asking{ResponseWriter: w, g: g, e: e, q: questionOf(r)}
	now := guard.At(time.Now())
	e.mu.Lock()
	e.asked = now
	m := g.stand(e, &a.q, now)
	a.kept = len(e.known.Of(a.q.v6()).Members) > 0
	e.mu.Unlock()
	switch {
	case m != nil:
		return a.send(m)
	case !a.kept:
		return plugin.NextOrFailure(pluginName, g.Next, ctx, a, r)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		t := time.AfterFunc(patience, func() { a.tooLate() })
		defer t.Stop()
		own := *r // plugins below change its ID while they ask
		return a.run(ctx, &own)
	}
	return a.apart(ctx, r.Copy())
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

	mu   sync.Mutex
	sent bool

	// What follows belongs to the goroutine that asks below.
	wrote   bool
	bad     *dns.Msg // the reply that was not passed on
	failure failure  // what it says
}

// send writes the reply, unless there was one.
func (a *asking) send(m *dns.Msg) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sent {
		a.sent = true
		_ = a.ResponseWriter.WriteMsg(m) // a client that left is no error of ours
	}
	return dns.RcodeSuccess, nil
}

// tooLate answers with what stands in because nothing was heard, and reports
// whether the client has a reply.
func (a *asking) tooLate() bool {
	if m := a.g.failed(a.e, &a.q, guard.Timeout); m != nil {
		_, _ = a.send(m)
		return true
	}
	return false
}

// apart asks below on a goroutine of its own, for transports on which one question
// holds up the next ones.
func (a *asking) apart(ctx context.Context, r *dns.Msg) (rc int, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				rc, err = dns.RcodeServerFailure, fmt.Errorf("a plugin below guard panicked: %v", p)
			}
		}()
		rc, err = a.run(context.WithoutCancel(ctx), r)
	}()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-ended:
		return rc, err
	case <-t.C:
	}
	if a.tooLate() {
		return dns.RcodeSuccess, nil
	}
	<-ended
	return rc, err
}

// run asks below, and where that fails answers with what stands in.
func (a *asking) run(ctx context.Context, r *dns.Msg) (int, error) {
	rc, err := plugin.NextOrFailure(pluginName, a.g.Next, ctx, a, r)
	if !a.wrote {
		a.failure = unwritten(ctx, rc, err)
	}
	if a.failure == guard.None || !a.g.opts.rules.On.Has(a.failure) {
		return a.truth(rc, err)
	}
	if m := a.second(ctx, r); m != nil {
		return a.send(m)
	}
	if m := a.g.failed(a.e, &a.q, a.failure); m != nil && !a.g.withdrawn(ctx, a.e, &a.q, a.failure) {
		return a.send(m)
	}
	return a.truth(rc, err)
}

// truth passes on what was said below.
func (a *asking) truth(rc int, err error) (int, error) {
	if a.bad == nil {
		return rc, err
	}
	return a.send(shorten(a.bad, a.g.opts.seconds()))
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
	if m == nil {
		return a.ResponseWriter.WriteMsg(m)
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
// cannot be read is passed on as it is.
func (a *asking) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return a.ResponseWriter.Write(b)
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
	end := time.Now().Add(patience / 2)
	for n := 0; n < opinions && time.Now().Before(end); n++ {
		again := metadata.ContextWithMetadata(ctx)
		m, err := below.Ask(again, a.g.Next, r.Copy())
		asked := upstream(again)
		switch {
		case err != nil:
			return nil
		case a.g.take(a.e, &a.q, m) == guard.None:
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
