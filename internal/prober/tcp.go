package prober

import (
	"context"

	"github.com/detour-dns/detour/internal/health"
)

// tcp passes when the connection is accepted.
type tcp struct{ d *dialer }

func newTCP(_ Spec, d *dialer) (kind, error) { return &tcp{d: d}, nil }

func (p *tcp) try(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	c.abort()
	return a.end(health.CauseNone, "")
}
