package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

var sourceBlock = newBlock("source",
	field[Source]{"consul", func(d *decoder, v value, s *Source) { s.Consul = d.decodeConsul(v) }},
)

// consulDraft is a Consul while it is read.
type consulDraft struct {
	Consul

	name string // template of its services' names
}

var consulBlock = newBlock("consul", append(
	lift(without(storeBlock.fields, "datacenter", "region"), func(c *consulDraft) *Store { return &c.Agent }),
	field[consulDraft]{"datacenters", decodeDatacenters},
	field[consulDraft]{"allow_ports", decodeAllowPorts},
	field[consulDraft]{"name", text(func(c *consulDraft) *string { return &c.name })},
	field[consulDraft]{"services", decodeCatalog},
)...)

// catalogBlock is a service's block with where its endpoints come from instead of
// its pools. It reads the name first: what follows speaks of it.
var catalogBlock = newBlock("catalog_service", append([]field[serviceDraft]{
	{"name", decodeCatalogName},
	{"region", enum(func(s *serviceDraft) *RegionFrom { return &s.From.Region }, FromMeta, FromTag, FromDatacenter)},
	{"order", decodeOrder},
	{"namespace", label(func(s *serviceDraft) *string { return &s.From.Namespace })},
	{"partition", label(func(s *serviceDraft) *string { return &s.From.Partition })},
	{"peer", label(func(s *serviceDraft) *string { return &s.From.Peer })},
}, without(serviceBlock.fields, "pools")...)...)

func without[T any](fields []field[T], keys ...string) []field[T] {
	return slices.DeleteFunc(slices.Clone(fields), func(f field[T]) bool { return slices.Contains(keys, f.key) })
}

// The template of a service's name unless said: the one that Consul's own DNS
// answers.
const (
	templateWord    = "{service}"
	defaultTemplate = templateWord + ".service.consul"
)

// How often the opinion of Consul's checks is told again while Consul is there,
// and how long it counts when it is not. It is not probed: one word of Consul's
// decides, since its checks have thresholds of their own.
var consulTiming = Timing{
	Interval: 5 * time.Second, Timeout: 2 * time.Second, Attempts: 1,
	Fall: 1, Rise: 1, Confirm: time.Second, Stale: builtinStale,
}

// decodeSources reads where services come from besides this file.
func decodeSources(d *decoder, v value, c *Config) {
	if _, taken := d.monitors[ConsulMonitor]; taken {
		d.fault(v, "%s with a monitor named %s: that name means the checks of Consul itself, give the monitor another", v.key, ConsulMonitor)
		return
	}
	d.monitors[ConsulMonitor] = len(c.Monitors)
	c.Monitors = append(c.Monitors, Monitor{Name: ConsulMonitor, Type: ConsulChecks, Verify: true, Votes: true, Timing: consulTiming})
	for _, item := range d.list(v) {
		var s Source
		seen := sourceBlock.decode(d, item, &s)
		if len(seen) == 0 && len(item.node.Content) == 0 && !d.bad[item.node] {
			d.fault(item, "the source is empty: write - consul: and what to read below it")
		}
		if s.Consul != nil {
			c.Sources = append(c.Sources, s)
		}
	}
}

func (d *decoder) decodeConsul(v value) *Consul {
	c := consulDraft{name: defaultTemplate}
	c.Agent.Address = &url.URL{Scheme: "http", Host: "127.0.0.1:8500"}
	seen := consulBlock.decode(d, v, &c)
	if !seen.has("services") && !d.bad[v.node] {
		d.fault(v, "consul has no services: name those to steer, such as services: {web: {monitors: [consul]}}")
	}
	if seen.has("cert_file") != seen.has("key_file") {
		d.fault(v, "consul needs both cert_file and key_file: add the one that is missing")
	}
	d.checkAgent(seen, c.Agent)
	return &c.Consul
}

// checkAgent faults keys that need TLS where there is none, and warns of a token
// that everyone on the way can read.
func (d *decoder) checkAgent(seen given, a Store) {
	if a.Address.Scheme == "https" || !d.sound(seen, "address") {
		return
	}
	for _, key := range []string{"ca_file", "cert_file", "server_name"} {
		if seen.has(key) {
			d.fault(seen[key], "%s does nothing without TLS: write https in address, or remove it", key)
		}
	}
	ip, err := netip.ParseAddr(a.Address.Hostname())
	near := a.Address.Scheme == "unix" || a.Address.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if seen.has("token_file") && !near {
		d.warn(seen["token_file"].node, "the token goes to %s in the clear: use https in address", a.Address.Host)
	}
}

var datacenterName = regexp.MustCompile(`^[a-z0-9_-]+$`)

func decodeDatacenters(d *decoder, v value, c *consulDraft) {
	for _, e := range d.entries(v) {
		region, ok := d.parseRegion(e.value)
		if name := e.key.Value; len(name) > 63 || !datacenterName.MatchString(name) {
			d.faultAt(e.key, "datacenter %s is no name that Consul allows: write lower case letters, digits, - and _", e.key.Value)
			continue
		}
		if ok {
			c.Datacenters = append(c.Datacenters, Datacenter{e.key.Value, region})
			d.region(region)
		}
	}
}

// decodeAllowPorts reads a list of ports and ranges of them: 443, 20000-32000.
func decodeAllowPorts(d *decoder, v value, c *consulDraft) {
	items := d.list(v)
	if len(items) == 0 && !d.bad[v.node] {
		d.fault(v, "allow_ports is empty: list at least one port, such as 20000-32000, or remove it")
	}
	for _, item := range items {
		s, ok := d.text(item)
		if !ok {
			continue
		}
		low, high := ends(s)
		l, errLow := strconv.ParseUint(low, 10, 16)
		h, errHigh := strconv.ParseUint(high, 10, 16)
		if errLow != nil || errHigh != nil || l == 0 || l > h {
			d.fault(item, "%s is neither a port nor a range of ports: write 443 or 20000-32000", s)
			continue
		}
		c.AllowPorts = append(c.AllowPorts, PortRange{uint16(l), uint16(h)})
	}
}

// decodeCatalog reads the services of a catalog, each the name there and a block.
func decodeCatalog(d *decoder, v value, c *consulDraft) {
	entries := d.entries(v)
	if len(entries) == 0 && v.node.Kind == yaml.MappingNode && !d.bad[v.node] {
		d.fault(v, "services is empty: name those to steer, such as services: {web: {monitors: [consul]}}")
	}
	for _, e := range entries {
		if n := e.key.Value; n == "" || len(n) > 255 || strings.ContainsFunc(n, unicode.IsControl) {
			d.faultAt(e.key, "%q is no service's name: write it as Consul has it", n)
			continue
		}
		d.addService(value{"service", e.key}, d.catalogService(e, c))
	}
}

func (d *decoder) catalogService(e entry, c *consulDraft) Service {
	s := d.newService("", value{"service", e.key}, e.value)
	s.From = &Origin{Source: len(d.cfg.Sources), Name: e.key.Value}
	s.Name, _ = canonicalName(strings.ReplaceAll(c.name, templateWord, e.key.Value), true) // what is read below it warns of
	seen := catalogBlock.decode(d, e.value, &s)
	if !seen.has("name") {
		s.setName(d, value{"name", e.key}, c.name)
	}
	if !slices.Contains(s.Monitors, ConsulMonitor) {
		s.Monitors = append(s.Monitors, ConsulMonitor)
	}
	s.From.minHealthy = s.minHealthy
	if seen.has("region") && s.From.Region == FromDatacenter && len(c.Datacenters) == 0 {
		d.fault(seen["region"], "region: datacenter needs to know them: add datacenters: {dc1: aws/us-east-1} to consul")
	}
	d.checkService(seen, &s)
	return s.Service
}

func decodeCatalogName(d *decoder, v value, s *serviceDraft) {
	if t, ok := d.text(v); ok {
		s.setName(d, v, t)
	}
}

// setName names a service by a template. A fault is at v.
func (s *serviceDraft) setName(d *decoder, v value, template string) {
	text := strings.ReplaceAll(template, templateWord, s.From.Name)
	name, err := canonicalName(text, true)
	if err != nil {
		s.Name = ""
		d.fault(v, "the name of service %s, %s, %v; give it one with name:", s.From.Name, text, err)
		return
	}
	s.Name = name
	d.checkServiceName(v, name)
}

func decodeOrder(d *decoder, v value, s *serviceDraft) {
	items := d.list(v)
	if len(items) > MaxPools {
		d.fault(v, "order has %d regions: at most %d", len(items), MaxPools)
		return
	}
	for _, item := range items {
		name, ok := d.parseRegion(item)
		switch {
		case !ok:
		case slices.Contains(s.From.Order, name):
			d.fault(item, "order has %s twice: remove one", name)
		default:
			s.From.Order = append(s.From.Order, name)
			d.region(name)
		}
	}
}
