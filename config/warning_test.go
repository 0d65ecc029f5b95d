package config

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const self = "\nself: {checks: [\"icmp://192.0.2.1\"]}\n"
	two := withPools("aws/us-east-1: [192.0.2.10]", "gcp/europe-west1: [198.51.100.10]")
	tests := []struct{ name, file, want string }{
		{"none", two + self, ""},
		{"no self checks", two, "1:1: there are no self.checks, so that a fault of this resolver's own network looks like one of the regions: list one near and one far address"},
		{"self without checks", two + "self: {zone: onprem/fra1}\n", "8:7: there are no self.checks, so that a fault of this resolver's own network looks like one of the regions: list one near and one far address"},
		{"no services", "version: 1" + self, "1:1: there are no services, so that nothing is steered: add services:"},
		{"one pool", withPools("aws/us-east-1: [192.0.2.10]") + self, "3:3: shop.example.org has one pool only, and nothing to fail over to: add a pool in another region"},
		{
			"IPv6 lacks", withPools("aws/us-east-1: [192.0.2.10, '2001:db8::1']", "gcp/europe-west1: [198.51.100.10]") + self,
			"7:9: pool gcp/europe-west1 of shop.example.org has no IPv6 address and an earlier pool has: after a failover those clients get none, add one",
		},
		{
			"IPv4 lacks", withPools("aws/us-east-1: [192.0.2.10]", "gcp/europe-west1: ['2001:db8::1']") + self,
			"7:9: pool gcp/europe-west1 of shop.example.org has no IPv4 address and an earlier pool has: after a failover those clients get none, add one",
		},
		{"later has more", withPools("aws/us-east-1: [192.0.2.10]", "gcp/europe-west1: [198.51.100.1, '2001:db8::1']") + self, ""},
		{"a name may have any", withPools("aws/us-east-1: [192.0.2.10, '2001:db8::1']", "gcp/europe-west1: [lb.example.net]") + self, ""},
		{"families apart", withPools("aws/us-east-1: [192.0.2.10, '2001:db8::1']", "gcp/europe-west1: [198.51.100.10]") + "    families: separate" + self, ""},
		{
			".local", strings.Replace(two, "shop.example.org", "shop.corp.local", 1) + self,
			"3:3: shop.corp.local is under .local, which many clients ask of multicast DNS and never of us: choose a name under a domain of yours, home.arpa or internal",
		},
		{
			"no votes", strings.Replace(two, "type: https", "type: https, votes: false", 1) + self,
			"4:15: no monitor of shop.example.org votes, so that it never moves: remove votes: false from one",
		},
		{
			"wildcard host", strings.Replace(two, "shop.example.org", "'*.example.org'", 1) + self,
			"4:16: monitor web uses the host example.org, because *.example.org is a wildcard: add host: to the monitor, a name that the endpoints serve",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Faults(mustParse(t, tt.file).Warnings).Error()
			if want := optional("failover.yaml:", tt.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestWarningsAreNoFaults checks special names that a service may have.
func TestWarningsAreNoFaults(t *testing.T) {
	for _, name := range []string{"a.test", "nas.home.arpa", "db.internal", "nas.local", "_x.example.org", "org", "xn--bcher-kva.example", "1.example.org"} {
		mustParse(t, strings.Replace(withPools("aws/us-east-1: [192.0.2.10]"), "shop.example.org", name, 1))
	}
}
