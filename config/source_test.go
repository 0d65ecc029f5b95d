package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const withSources = `monitors: {web: {type: tcp, port: 443}}
services: {file.example.org: {monitors: [web], min_healthy: 50%, pools: [{aws/us-east-1: [192.0.2.99]}]}}
defaults: {min_healthy: 3}
sources:
  - consul:
      datacenters: {dc1: aws/us-east-1, dc2: gcp/europe-west1}
      services:
        Web:
          monitors: [web]
          order: [onprem/fra1, gcp/europe-west1]
          ttl: {settled: 7s}
        db: {name: "{service}.example.org", monitors: [consul], single_writer: true, min_healthy: 50%, namespace: n, partition: p, peer: c2}
  - consul: {address: "unix:///run/consul.sock", services: {plain: {}}}
`

func TestSources(t *testing.T) {
	c := mustParse(t, withSources)
	if len(c.Sources) != 2 || c.Sources[0].Consul.Agent.Address.String() != "http://127.0.0.1:8500" || c.Sources[1].Consul.Agent.Address.Path != "/run/consul.sock" {
		t.Fatalf("sources %+v", c.Sources)
	}
	if got, want := c.Sources[0].Consul.Datacenters, []Datacenter{{"dc1", "aws/us-east-1"}, {"dc2", "gcp/europe-west1"}}; !slices.Equal(got, want) {
		t.Errorf("datacenters %v, want %v", got, want)
	}
	web, _ := c.Service("web.service.consul")
	if web == nil || web.From.Name != "Web" || web.From.Source != 0 || !slices.Equal(web.Monitors, []string{"web", "consul"}) || web.TTL.Settled != 7*time.Second {
		t.Errorf("web is %+v", web)
	}
	db, _ := c.Service("db.example.org")
	if db == nil || !slices.Equal(db.Monitors, []string{"consul"}) || !db.Failback.Manual || db.From.Namespace+db.From.Partition+db.From.Peer != "npc2" {
		t.Errorf("db is %+v", db)
	}
	if plain, _ := c.Service("plain.service.consul"); plain == nil || plain.From.Source != 1 || !slices.Equal(plain.Monitors, []string{"consul"}) {
		t.Errorf("plain is %+v", plain)
	}
	if m, ok := c.Monitor(ConsulMonitor); !ok || m.Type != ConsulChecks || !m.Votes || m.Timing.Fall != 1 || m.Timing.Rise != 1 {
		t.Errorf("monitor consul is %+v", m)
	}
	if c := mustParse(t, "services: {}\n"); len(c.Monitors) != 0 {
		t.Errorf("without sources there are the monitors %v", c.Monitors)
	}
	if got, ok := c.Target("gcp/europe-west1"); !ok || got != "gcp/europe-west1" {
		t.Error("a datacenter's region is no target of an override")
	}
}

func pool(region string, addrs ...string) Pool {
	p := Pool{Region: region}
	for _, a := range addrs {
		p.Endpoints = append(p.Endpoints, Endpoint{Address: netip.MustParseAddr(a), Weight: 1, Enabled: true})
	}
	return p
}

func TestDiscover(t *testing.T) {
	c := mustParse(t, withSources)
	before := *c
	got := c.Discover(map[string][]Pool{
		"web.service.consul.": {
			pool("azure/b", "192.0.2.1"), pool("gcp/europe-west1", "192.0.2.2"),
			pool("azure/a", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"), pool("onprem/fra1", "192.0.2.9"),
		},
		"db.example.org.":   {pool("azure/a", "192.0.2.7")},
		"nobody.":           {pool("azure/c", "192.0.2.8")},
		"file.example.org.": {pool("azure/c", "192.0.2.8")},
	})
	if file, _ := got.Service("file.example.org"); file.Pools[0].Region != "aws/us-east-1" {
		t.Errorf("a service of the file has %v", file.Pools)
	}
	web, _ := got.Service("web.service.consul")
	var order []string
	var quotas []int
	for _, p := range web.Pools {
		order, quotas = append(order, p.Region), append(quotas, p.MinHealthy)
	}
	if want := []string{"onprem/fra1", "gcp/europe-west1", "azure/a", "azure/b"}; !slices.Equal(order, want) {
		t.Errorf("pools %v, want %v", order, want)
	}
	if want := []int{100, 100, 75, 100}; !slices.Equal(quotas, want) {
		t.Errorf("min_healthy: 3 of 1, 1, 4 and 1 are %v percent, want %v", quotas, want)
	}
	if db, _ := got.Service("db.example.org"); db.Pools[0].MinHealthy != 50 {
		t.Errorf("db has min_healthy %d", db.Pools[0].MinHealthy)
	}
	if _, ok := got.Region("azure/b"); !ok || got.Hash != c.Hash {
		t.Error("a region that was found is not known, or the hash is another")
	}
	if _, ok := got.Target("web.service.consul/192.0.2.9"); !ok {
		t.Error("an endpoint that was found is no target")
	}
	if !reflect.DeepEqual(before, *c) {
		t.Error("the configuration was changed in place")
	}
	if plain, _ := got.Service("plain.service.consul"); len(plain.Pools) != 0 {
		t.Error("what nothing was found for has pools")
	}
}

func TestDiscoverBoundsPools(t *testing.T) {
	c := mustParse(t, withSources)
	var many []Pool
	for i := range 100 {
		many = append(many, pool("a/"+strings.Repeat("x", i+1), "192.0.2.1"))
	}
	got := c.Discover(map[string][]Pool{"web.service.consul.": many})
	if web, _ := got.Service("web.service.consul"); len(web.Pools) != MaxPools {
		t.Errorf("%d pools, want %d", len(web.Pools), MaxPools)
	}
}

// TestSourceFaults has one fault a line; each stands where it says.
func TestSourceFaults(t *testing.T) {
	const before = "services: {}\nsources: "
	for yaml, want := range map[string]string{
		"{consul: {}}":               "2:10: sources is a block of keys: write it as a list, sources: [...]",
		"[{}]":                       "2:11: the source is empty: write - consul: and what to read below it",
		"[{nomad: {}}]":              "2:12: unknown key nomad in source: use one of consul",
		"[{consul: {}}]":             "2:20: consul has no services: name those to steer, such as services: {web: {monitors: [consul]}}",
		"[{consul: {services: {}}}]": "2:31: services is empty: name those to steer, such as services: {web: {monitors: [consul]}}",
		"[{consul: {token: hunter2, services: {a: {}}}}]":                           "2:21: unknown key token in consul: use one of address, allow_ports, ca_file, cert_file, datacenters, key_file, name, server_name, services, token_file",
		"[{consul: {address: 'consul:8500', services: {a: {}}}}]":                   "2:30: address consul:8500 is not where Consul listens: write http://address:port, https://name:port or unix:///path",
		"[{consul: {ca_file: f, services: {a: {}}}}]":                               "2:30: ca_file does nothing without TLS: write https in address, or remove it",
		"[{consul: {address: 'https://c', key_file: f, services: {a: {}}}}]":        "2:20: consul needs both cert_file and key_file: add the one that is missing",
		"[{consul: {datacenters: {DC1: a/b}, services: {a: {}}}}]":                  "2:35: datacenter DC1 is no name that Consul allows: write lower case letters, digits, - and _",
		"[{consul: {datacenters: {dc1: b}, services: {a: {}}}}]":                    "2:40: dc1 b is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1",
		"[{consul: {allow_ports: [], services: {a: {}}}}]":                          "2:34: allow_ports is empty: list at least one port, such as 20000-32000, or remove it",
		"[{consul: {allow_ports: [0], services: {a: {}}}}]":                         "2:35: 0 is neither a port nor a range of ports: write 443 or 20000-32000",
		"[{consul: {allow_ports: [9-5], services: {a: {}}}}]":                       "2:35: 9-5 is neither a port nor a range of ports: write 443 or 20000-32000",
		"[{consul: {allow_ports: [1-70000], services: {a: {}}}}]":                   "2:35: 1-70000 is neither a port nor a range of ports: write 443 or 20000-32000",
		"[{consul: {services: {a b: {}}}}]":                                         "2:32: the name of service a b, a b.service.consul, has the character ' ': names are of a-z, 0-9, - and _; give it one with name:",
		"[{consul: {services: {a: {name: x.onion}}}}]":                              "2:42: x.onion cannot be a service, .onion is special: it is Tor's, and must not be asked of the DNS (RFC 7686); choose a name under a domain of yours",
		"[{consul: {services: {a: {name: \"{datacenter}.x\"}}}}]":                   "2:42: the name of service a, {datacenter}.x, has the character '{': names are of a-z, 0-9, - and _; give it one with name:",
		"[{consul: {services: {a: {region: node}}}}]":                               "2:44: unknown region node: use one of datacenter, meta, tag",
		"[{consul: {services: {a: {region: datacenter}}}}]":                         "2:44: region: datacenter needs to know them: add datacenters: {dc1: aws/us-east-1} to consul",
		"[{consul: {services: {a: {order: [a/b, a/b]}}}}]":                          "2:49: order has a/b twice: remove one",
		"[{consul: {services: {a: {namespace: 'a b'}}}}]":                           "2:47: namespace a b is not a plain word: use at most 63 letters, digits, dots, hyphens and underscores",
		"[{consul: {services: {a: {pools: []}}}}]":                                  "2:36: unknown key pools in catalog_service: use one of alpn, except, failback, families, flatten, hold_down, last_resort, min_healthy, mode, monitors, name, namespace, order, partition, peer, policy, port, public, region, single_writer, srv, sticky, ttl",
		"[{consul: {services: {a: {monitors: [web]}}}}]":                            "2:47: unknown monitor web: use one of consul",
		"[{consul: {services: {a: {}, b: {name: A.service.consul.}}}}]":             "2:39: service a.service.consul is given twice, first in line 2: remove one, upper case and a last dot make no difference",
		"[{consul: {services: {a: {}}}}]\nmonitors: {consul: {type: tcp, port: 1}}": "2:10: sources with a monitor named consul: that name means the checks of Consul itself, give the monitor another",
	} {
		_, err := Parse("f.yaml", []byte(before+yaml+"\n"))
		if err == nil || err.Error() != "f.yaml:"+want {
			t.Errorf("%s\n got %v\nwant f.yaml:%s", yaml, err, want)
		}
	}
}

func TestSourceTokenInTheClear(t *testing.T) {
	for address, want := range map[string]bool{
		"http://192.0.2.1:8500": true, "http://127.0.0.1:8500": false, "http://localhost:8500": false,
		"https://192.0.2.1:8501": false, "unix:///run/c": false,
	} {
		c := mustParse(t, "services: {}\nsources: [{consul: {address: '"+address+"', token_file: t, services: {a: {}}}}]\n")
		got := slices.ContainsFunc(c.Warnings, func(f Fault) bool { return strings.Contains(f.Message, "in the clear") })
		if got != want {
			t.Errorf("%s: warned %v, want %v", address, got, want)
		}
	}
}
