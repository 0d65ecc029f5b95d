package failover

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestAsManyAnswersAsAllowed holds that max_answers means what it says, to its end.
func TestAsManyAnswersAsAllowed(t *testing.T) {
	var addrs []string
	ip := netip.MustParseAddr("192.0.2.1")
	for range 40 {
		addrs, ip = append(addrs, ip.String()), ip.Next()
	}
	for _, n := range []int{1, 15, 16, 17, 31, 32} {
		f := handler(t, fmt.Sprintf("limits: {max_answers: %d}\nservices:\n  many.example.org: {monitors: [web], pools: [{aws/us-east-1: [%s]}]}\n", n, strings.Join(addrs, ", ")), nil)
		m, _ := ask(t, f, "10.240.0.1", question("many.example.org.", dns.TypeA))
		if len(m.Answer) != n {
			t.Errorf("%d answers with max_answers: %d", len(m.Answer), n)
		}
		seen := map[string]bool{}
		for _, a := range addrsOf(m) {
			seen[a] = true
		}
		if len(seen) != n {
			t.Errorf("max_answers %d: %d of %d addresses differ", n, len(seen), len(m.Answer))
		}
	}
}

// TestNoDataAsTheLastResort holds that a service of which nothing is healthy exists
// without addresses, in a way that caches keep for no longer than it may stay so.
func TestNoDataAsTheLastResort(t *testing.T) {
	f := handler(t, `
services:
  shop.example.org: {monitors: [web], port: 443, alpn: [h2], last_resort: {mode: nodata}, pools: [{aws/us-east-1: [192.0.2.10]}]}
overrides: [{target: shop.example.org, do: down, reason: test, owner: test}]
`, say(dns.RcodeNameError))
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := question("shop.example.org.", qtype)
		q.SetEdns0(1232, false)
		m, _ := ask(t, f, "10.240.0.1", q)
		if assertNoData(t, m, "shop.example.org.", 5); errorCode(m) != dns.ExtendedErrorCodeNotReady {
			t.Errorf("extended error %d", errorCode(m))
		}
	}
}
