package guard

import (
	"context"
	"reflect"
	"strings"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/cache"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// odd passes on a question that is not stood in for: without RD, with CD, or for
// one network. Its asker gets the truth. But `cache` above keeps replies by name,
// type, DO and CD alone: a failure of a name that others know must not become
// theirs.
func (g *Guard) odd(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	name := strings.ToLower(r.Question[0].Name)
	t := r.Question[0].Qtype
	if how, _ := g.names.match(name); how == unguarded || t != dns.TypeA && t != dns.TypeAAAA || !g.table.knows(name, t == dns.TypeAAAA) {
		return plugin.NextOrFailure(pluginName, g.Next, ctx, w, r)
	}
	p := &passer{ResponseWriter: w, name: name, qtype: t}
	rc, err := plugin.NextOrFailure(pluginName, g.Next, ctx, p, r)
	if p.wrote || rc != dns.RcodeServerFailure || ctx.Err() != nil {
		return rc, err
	}
	_ = around(w).WriteMsg(new(dns.Msg).SetRcode(r, rc)) // a client that left is no error of ours
	return dns.RcodeSuccess, nil
}

// knows reports whether addresses of a name and family are kept.
func (t *table) knows(name string, v6 bool) bool {
	e := t.look(name)
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.known.Of(v6).Members) > 0
}

// passer is the writer of an odd question: what fails the name goes to its asker
// and not into the cache.
type passer struct {
	dns.ResponseWriter
	name  string
	qtype uint16
	wrote bool
}

// WriteMsg implements dns.ResponseWriter.
func (p *passer) WriteMsg(m *dns.Msg) error {
	p.wrote = true
	if m == nil {
		return p.ResponseWriter.WriteMsg(m)
	}
	if j := judge(m, p.name, p.qtype); j.failure == guard.None && (!j.cut || isUDP(p.ResponseWriter)) {
		return p.ResponseWriter.WriteMsg(m)
	}
	return around(p.ResponseWriter).WriteMsg(m)
}

// Write implements dns.ResponseWriter for plugins that write wire format.
func (p *passer) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		p.wrote = true
		return p.ResponseWriter.Write(b)
	}
	return len(b), p.WriteMsg(m)
}

// around returns the writer of the client itself where a cache stands between,
// which would keep what is written. CoreDNS has no way to ask for it: each of its
// plugins wraps the writer of the one above, as a field of that name.
func around(w dns.ResponseWriter) dns.ResponseWriter {
	for x := w; x != nil; x = inside(x) {
		c, ok := x.(*cache.ResponseWriter)
		switch {
		case !ok:
		case c.ResponseWriter == nil || reflect.ValueOf(c).Elem().FieldByName("prefetch").Bool():
			return nobody{w} // the cache asks for itself
		default:
			return c.ResponseWriter
		}
	}
	return w
}

// inside returns the writer that a writer wraps, nil if it wraps none.
func inside(w dns.ResponseWriter) dns.ResponseWriter {
	v := reflect.Indirect(reflect.ValueOf(w))
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName("ResponseWriter")
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	inner, _ := f.Interface().(dns.ResponseWriter)
	return inner
}

// nobody takes a reply that nobody waits for.
type nobody struct{ dns.ResponseWriter }

// WriteMsg implements dns.ResponseWriter.
func (nobody) WriteMsg(*dns.Msg) error { return nil }
