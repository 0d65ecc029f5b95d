package failover

import (
	"context"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
	ot "github.com/opentracing/opentracing-go"
)

// next hands a question to the plugins below. What they reply to is edited on its
// way out, but for transfers: those are many messages, none of which may be touched.
func (f *Failover) next(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if len(r.Question) != 1 || isTransfer(r.Question[0].Qtype) {
		return plugin.NextOrFailure(pluginName, f.under(), ctx, w, r)
	}
	e := &editor{w, ctx, f, r}
	if ot.SpanFromContext(ctx) != nil {
		return plugin.NextOrFailure(pluginName, f.under(), ctx, e, r)
	}
	return f.under().ServeDNS(ctx, e, r) // as NextOrFailure does, whose own writer the editor stands for
}

// editor edits replies from below before they go out, each for the client that asked:
// it stands above `cache`. In this order
//
//   - services that a reply leads to are answered by us (alias.go);
//   - addresses of private networks are taken out of answers for public names
//     (rebind.go);
//   - answers that `guard` stands in with are marked as stale (stale.go).
//
// A reply that is edited is a copy, for the cache may hold what came.
type editor struct {
	dns.ResponseWriter
	ctx context.Context //nolint:containedctx // of the one question that it lives for
	f   *Failover
	r   *dns.Msg
}

// WriteMsg implements dns.ResponseWriter.
func (e *editor) WriteMsg(m *dns.Msg) error {
	if tracker, ok := e.ResponseWriter.(plugin.PluginTracker); ok {
		tracker.SetPlugin(e.f.under().Name())
	}
	if m != nil {
		m = e.stale(e.unbound(e.led(m)))
	}
	return e.ResponseWriter.WriteMsg(m)
}

// Write implements dns.ResponseWriter for plugins that write wire format. What cannot
// be read is passed on as it is, unless it might hold what may not go out.
func (e *editor) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		if e.f.shared.load().Plan.Config.Rebind.Block {
			return 0, err
		}
		return e.ResponseWriter.Write(b)
	}
	return len(b), e.WriteMsg(m)
}
