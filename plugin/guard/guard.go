// Package guard is a CoreDNS plugin that keeps names alive whose own DNS fails.
// It stands below `cache` and above the backends, sees what they really say, and
// where they fail a guarded name it answers with the name's last good addresses,
// as long as these still prove to be the name's.
package guard

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// pluginName is the directive's name.
const pluginName = "guard"

var log = clog.NewWithPlugin(pluginName)

// Guard is the plugin's handler: one of a server block.
type Guard struct {
	Next plugin.Handler

	opts  options
	names *list // what is guarded
	table *table
	prove prover
}

// Name implements plugin.Handler.
func (g *Guard) Name() string { return pluginName }

// ServeDNS implements plugin.Handler. What is not guarded goes to the next plugin
// with the same writer and the same question. If it wrote a reply it returns
// (RcodeSuccess, nil); else it returns what came from the plugins below.
func (g *Guard) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	switch {
	case g.Next == nil || len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || r.Question[0].Qclass != dns.ClassINET:
		return plugin.NextOrFailure(pluginName, g.Next, ctx, w, r)
	case !plain(r):
		return g.odd(ctx, w, r)
	}
	name := strings.ToLower(r.Question[0].Name)
	e := g.find(name, w)
	switch t := r.Question[0].Qtype; {
	case e == nil && !g.table.above(name):
		return plugin.NextOrFailure(pluginName, g.Next, ctx, w, r)
	case e == nil, t != dns.TypeA && t != dns.TypeAAAA:
		return g.related(ctx, w, r, e)
	}
	return g.guarded(ctx, w, r, e)
}

// plain reports whether a question may be answered by something
// else than what the backends say: RD without CD, and not for one network only.
func plain(r *dns.Msg) bool {
	if !r.RecursionDesired || r.CheckingDisabled {
		return false
	}
	opt := r.IsEdns0()
	return opt == nil || !hasSubnet(opt)
}

// hasSubnet reports whether an OPT record has a client subnet (RFC 7871) that says
// anything.
func hasSubnet(opt *dns.OPT) bool {
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_SUBNET); ok && e.SourceNetmask > 0 {
			return true
		}
	}
	return false
}

// find returns what is kept of a guarded name, nil if it is not guarded.
func (g *Guard) find(name string, w dns.ResponseWriter) *entry {
	switch how, p := g.names.match(name); how {
	case listed:
		return g.table.entry(name)
	case patterned:
		return g.table.candidate(name, p, clientAddr(w))
	case unguarded:
	}
	return nil
}

// related passes on a question for another type of a guarded name, or for a name
// above one. While that stands in, it exists: an NXDOMAIN would deny it as well
// (RFC 8020), so it becomes NODATA.
func (g *Guard) related(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, e *entry) (int, error) {
	if e != nil && !e.standing.Load() {
		return plugin.NextOrFailure(pluginName, g.Next, ctx, w, r)
	}
	return plugin.NextOrFailure(pluginName, g.Next, ctx, &denier{w, g.opts.seconds()}, r)
}

// clientAddr returns who asks.
func clientAddr(w dns.ResponseWriter) netip.Addr {
	var ip net.IP
	switch a := w.RemoteAddr().(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.TCPAddr:
		ip = a.IP
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

var _ plugin.Handler = (*Guard)(nil)

// failure is what a reply, or none, says of a name.
type failure = guard.Failure
