package failover

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestStrangersAreTold holds that clients which are refused are counted and named to
// whoever looks, for a while, and that those of a public service are not: anybody may
// come there.
func TestStrangersAreTold(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeSuccess, "www.test. 1 IN A 192.0.2.1"))
	now := time.Now()
	if got := f.shared.troubles(now); len(got) > 0 {
		t.Errorf("before: %v", got)
	}
	for range 3 {
		m, _ := ask(t, f, "2600:1f14:aa::20", question("www.test.", dns.TypeA))
		if m.Rcode != dns.RcodeRefused {
			t.Fatal(m)
		}
	}
	ask(t, f, "10.240.0.1", question("www.test.", dns.TypeA))
	got := strings.Join(f.shared.troubles(now.Add(time.Minute)), "\n")
	for _, want := range []string{"3 questions", "2600:1f14:aa::20", "recursion"} {
		if !strings.Contains(got, want) {
			t.Errorf("says %q, want %s in it", got, want)
		}
	}
	if got := f.shared.troubles(now.Add(time.Hour)); len(got) > 0 {
		t.Errorf("an hour later: %v", got)
	}
	f = handler(t, strings.Replace(twoRegions, "port: 443", "port: 443\n    public: true", 1), nil)
	ask(t, f, "203.0.113.9", question("www.test.", dns.TypeA))
	if got := f.shared.troubles(now); len(got) > 0 || f.shared.strange.n.Load() != 1 {
		t.Errorf("with a public service: %v, counted %d", got, f.shared.strange.n.Load())
	}
}
