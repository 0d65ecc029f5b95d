package failover

import (
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// stale says of an answer that `guard` stands in with that it is stale: EDE 3 of
// RFC 8914. `guard` cannot, for `cache` above it keeps no extended errors.
func (e *editor) stale(m *dns.Msg) *dns.Msg {
	if !e.f.guarded || !guard.Standing.Any() || m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0 || !guard.Standing.Has(e.r.Question[0].Name) {
		return m
	}
	out := *m
	explain(&out, e.r, dns.ExtendedErrorCodeStaleAnswer, guard.StaleText)
	return &out
}
