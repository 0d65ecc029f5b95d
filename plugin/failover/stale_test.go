package failover

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// TestStandInsAreMarked holds that an answer of a name that stands in says so to
// EDNS clients, and that no other answer does.
func TestStandInsAreMarked(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeSuccess, "api.cloud.example. 15 IN A 192.0.2.1"))
	f.guarded = true
	edns := question("API.cloud.example.", dns.TypeA)
	edns.SetEdns0(1232, false)
	if m, _ := ask(t, f, "10.240.0.1", edns); errorCode(m) != 0 {
		t.Error("marked in peace")
	}
	guard.Standing.Add("api.cloud.example.")
	defer guard.Standing.Remove("api.cloud.example.")
	m, _ := ask(t, f, "10.240.0.1", edns)
	if errorCode(m) != dns.ExtendedErrorCodeStaleAnswer || len(m.Answer) != 1 {
		t.Errorf("not marked as stale: %v", m)
	}
	if m, _ := ask(t, f, "10.240.0.1", question("api.cloud.example.", dns.TypeA)); len(m.Extra) != 0 {
		t.Errorf("an OPT record for a client without EDNS: %v", m)
	}
	other := question("www.cloud.example.", dns.TypeA)
	other.SetEdns0(1232, false)
	if m, _ := ask(t, f, "10.240.0.1", other); errorCode(m) != 0 {
		t.Error("another name is marked")
	}
}

// errorCode returns the extended error of a reply, 0 if it has none.
func errorCode(m *dns.Msg) uint16 {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode
			}
		}
	}
	return 0
}
