package prober

import (
	"context"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// tcp passes when the connection is accepted.
type tcp struct{ d *dialer }

func newTCP(_ Spec, d *dialer) (kind, error) { return &tcp{d: d}, nil }

func (p *tcp) try(ctx context.Context, a *attempt) outcome {
	if p.d.plain {
		until, _ := ctx.Deadline()
		o, rest := p.begin(ctx, a, until)
		if rest != nil {
			rest.end()
		}
		return o
	}
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	c.abort()
	return a.end(health.CauseNone, "")
}

// begin makes an attempt until an instant. If it was silent till then, the
// connection stays open in rest.
func (p *tcp) begin(ctx context.Context, a *attempt, until time.Time) (o outcome, rest *pending) {
	s, err := startConnect(a.target.addrPort())
	if s == nil {
		return p.done(a, err), nil
	}
	w := &pending{p: p, s: s}
	return w.wait(ctx, a, until)
}

// done tells what the end of a connect means.
func (p *tcp) done(a *attempt, err error) outcome {
	if err == nil {
		a.mark("dial")
		return a.end(health.CauseNone, "")
	}
	return a.end(p.d.explain(err, a.target.Addr))
}

// pending is a connection that was not answered yet.
type pending struct {
	p *tcp
	s *socket
}

// wait waits for the answer until an instant, or till ctx ends.
func (w *pending) wait(ctx context.Context, a *attempt, until time.Time) (outcome, *pending) {
	w.s.deadline(until)
	stop := context.AfterFunc(ctx, w.s.interrupt)
	o := w.p.done(a, w.s.wait())
	stop()
	if o.cause == health.CauseTimeout {
		return o, w
	}
	w.end()
	return o, nil
}

// end closes the connection.
func (w *pending) end() { w.s.close() }
