package plan

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/source"
)

// found is a name that resolved to these addresses.
func found(name string, ips ...string) source.Found {
	var list []netip.Addr
	for _, ip := range ips {
		list = append(list, netip.MustParseAddr(ip))
	}
	return source.Found{name: source.Addresses{}.Learn(list, time.Minute, t0)}
}

// TestOneCheckForAll holds that what is checked in one way is one check, for however many
// services and pools it is, and that all of them are judged by it.
func TestOneCheckForAll(t *testing.T) {
	p := Make(load(t, `
monitors: {web: {type: tcp, port: 443}, same: {type: tcp, port: 443}, named: {type: tls, host: x.example.org}, own: {type: tls}}
services:
  a.example.org: {monitors: [web, named], pools: [{aws/us-east-1: [192.0.2.1]}, {gcp/europe-west1: [192.0.2.2]}]}
  b.example.org: {monitors: [same, named], pools: [{aws/us-east-1: [192.0.2.1]}]}
  c.example.org: {monitors: [own], pools: [{aws/us-east-1: [192.0.2.1]}]}
  "*.d.example.org": {monitors: [own], pools: [{aws/us-east-1: [192.0.2.1]}]}
`), nil)
	type check struct {
		addr, host, seat string
		uses             []Use
	}
	var got []check
	for i := range p.Checks {
		c := &p.Checks[i]
		got = append(got, check{c.Addr.String(), c.Host, c.Seat, p.Uses[i]})
	}
	want := []check{
		{"192.0.2.1", "a.example.org", "192.0.2.1 a.example.org.", []Use{{0, 0}, {1, 0}}},
		{"192.0.2.1", "x.example.org", "192.0.2.1 a.example.org.", []Use{{0, 0}, {1, 0}}},
		{"192.0.2.2", "a.example.org", "192.0.2.2 a.example.org.", []Use{{0, 1}}},
		{"192.0.2.2", "x.example.org", "192.0.2.2 a.example.org.", []Use{{0, 1}}},
		{"192.0.2.1", "c.example.org", "192.0.2.1 c.example.org.", []Use{{2, 0}}},
		{"192.0.2.1", "d.example.org", "192.0.2.1 *.d.example.org.", []Use{{3, 0}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("checks are\n%+v, want\n%+v", got, want)
	}
}

// TestPlaces holds that an address is one place in each region that it is in, and that
// what judges ourselves is in none, though it asks the same.
func TestPlaces(t *testing.T) {
	p := Make(load(t, `
regions: {aws/us-east-1: {networks: [192.0.2.0/24], canaries: ["tcp://192.0.2.1:443"]}}
monitors: {web: {type: tcp, port: 443}, ping: {type: icmp}, other: {type: tcp, port: 80}}
services:
  a.example.org: {monitors: [web, ping], pools: [{aws/us-east-1: [192.0.2.1, 192.0.2.2]}]}
  b.example.org: {monitors: [other], pools: [{gcp/europe-west1: [192.0.2.1]}]}
self: {checks: ["tcp://192.0.2.1:443", "tcp://198.51.100.1:443"]}
`), nil)
	type at struct {
		addr          string
		region, place int
	}
	seen := map[at]bool{}
	for i := range p.Checks {
		c := &p.Checks[i]
		seen[at{c.Addr.String(), c.Region, c.Place}] = true
	}
	want := map[at]bool{
		{"192.0.2.1", 0, 0}: true, {"192.0.2.2", 0, 1}: true, {"192.0.2.1", 1, 2}: true, {"192.0.2.1", -1, -1}: true, {"198.51.100.1", -1, -1}: true,
	}
	if !reflect.DeepEqual(seen, want) || p.Places != 3 {
		t.Errorf("%d places: %v, want %v", p.Places, seen, want)
	}
	if len(p.Self) != 2 || p.Checks[p.Self[0]].Key != "self "+p.Checks[p.Steer.Regions[0].Canaries[0]].Key {
		t.Errorf("checks of ourselves: %v", p.Self)
	}
}

// TestNamesAsEndpoints holds that a name is looked up once, and is unresolved until then.
func TestNamesAsEndpoints(t *testing.T) {
	cfg := load(t, `
monitors: {web: {type: tcp, port: 443}}
services:
  a.example.org: {monitors: [web], pools: [{aws/us-east-1: [lb.example.net, 192.0.2.1]}]}
  b.example.org: {monitors: [web], pools: [{aws/us-east-1: [LB.example.net, other.example.net]}]}
`)
	if p := Make(cfg, nil); !reflect.DeepEqual(p.Names, []string{"lb.example.net.", "other.example.net."}) {
		t.Errorf("looked up are %q", p.Names)
	}
	p := Make(cfg, found("lb.example.net.", "192.0.2.7", "192.0.2.8"))
	for _, c := range []struct {
		service, end int
		label        string
		addrs        int
		unresolved   bool
	}{
		{0, 0, "lb.example.net", 2, false},
		{0, 1, "192.0.2.1", 1, false},
		{1, 0, "lb.example.net", 2, false},
		{1, 1, "other.example.net", 0, true},
	} {
		e := &p.Steer.Services[c.service].Pools[0].Endpoints[c.end]
		if e.Label != c.label || len(e.Addrs) != c.addrs || e.Unresolved != c.unresolved {
			t.Errorf("%+v, want %+v", e, c)
		}
	}
}

// TestFamilies holds that a service has its families from one pool unless it says so.
func TestFamilies(t *testing.T) {
	for text, want := range map[string]bool{"": false, "families: together, ": false, "families: separate, ": true} {
		p := Make(load(t, "monitors: {web: {type: icmp}}\nservices: {a.example.org: {monitors: [web], "+text+`pools: [{aws/us-east-1: [192.0.2.1, "2001:db8::1"]}]}}`), nil)
		if got := p.Steer.Services[0].Separate; got != want {
			t.Errorf("%q: separate %v", text, got)
		}
	}
}
