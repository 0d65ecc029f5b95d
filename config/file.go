package config

import (
	"net/netip"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// fileBlock is the whole file. Its order is that in which blocks rely on one
// another.
var fileBlock = newBlock("file",
	field[Config]{"version", decodeVersion},
	field[Config]{"mode", enum(func(c *Config) *Mode { return &c.Mode }, Act, Observe)},
	field[Config]{"defaults", func(d *decoder, v value, _ *Config) { defaultsBlock.decode(d, v, &d.defaults) }},
	field[Config]{"limits", func(d *decoder, v value, c *Config) { limitsBlock.decode(d, v, &c.Limits) }},
	field[Config]{"probes", func(d *decoder, v value, c *Config) { probesBlock.decode(d, v, &c.Probes) }},
	field[Config]{"metrics", func(d *decoder, v value, c *Config) { metricsBlock.decode(d, v, &c.Metrics) }},
	field[Config]{"regions", decodeRegions},
	field[Config]{"monitors", decodeMonitors},
	field[Config]{"services", decodeServices},
	field[Config]{"sources", decodeSources},
	field[Config]{"self", func(d *decoder, v value, c *Config) { selfBlock.decode(d, v, &c.Self) }},
	field[Config]{"share", decodeShare},
	field[Config]{"zones", decodeZones},
	field[Config]{"recursion", decodeRecursion},
	field[Config]{"rebind", decodeRebind},
	field[Config]{"overrides", decodeOverrides},
	field[Config]{"forwarders", networks(func(c *Config) *[]netip.Prefix { return &c.Forwarders })},
	field[Config]{"ecs", func(d *decoder, v value, c *Config) { ecsBlock.decode(d, v, c) }},
	field[Config]{"admin", decodeAdmin},
	field[Config]{"state", func(d *decoder, v value, c *Config) { stateBlock.decode(d, v, &c.State) }},
)

// file reads the whole document.
func (d *decoder) file(root *yaml.Node, bound Bound) {
	seen := fileBlock.decode(d, value{"the file", root}, d.cfg)
	if d.cfg.Recursion.Private {
		d.addOwnNetworks()
	}
	d.checkZones()
	d.checkOwners()
	d.checkOwnPort()
	if v, ok := seen["share"]; ok {
		d.warnVeto(v.node)
	}
	d.checkCount(seen, bound)
	if !seen.has("services") && !seen.has("sources") {
		d.warn(root, "there are no services, so that nothing is steered: add services:")
	}
	if len(d.cfg.Self.Checks) == 0 {
		d.warnSelf(seen, root)
	}
}

// addOwnNetworks makes `private` hold the regions' networks: who lives in one
// of our regions is no stranger.
func (d *decoder) addOwnNetworks() {
	r := &d.cfg.Recursion
	for _, region := range d.cfg.Regions {
		for _, p := range region.Networks {
			if !slices.Contains(r.Prefixes, p) {
				r.Prefixes = append(r.Prefixes, p)
			}
		}
	}
}

func (d *decoder) warnSelf(seen given, root *yaml.Node) {
	at := root
	if v, ok := seen["self"]; ok {
		at = v.node
	}
	d.warn(at, "there are no self.checks, so that a fault of this resolver's own network looks like one of the regions: list one near and one far address")
}

func decodeVersion(d *decoder, v value, _ *Config) {
	if s, ok := d.text(v); ok && s != "1" {
		d.fault(v, "version %s is not known: this resolver reads version: 1", s)
	}
}

var limitsBlock = newBlock("limits",
	field[Limits]{"regions_out", percent(func(l *Limits) *int { return &l.RegionsOut })},
	field[Limits]{"brake", duration(func(l *Limits) *time.Duration { return &l.Brake }, 0, 10*time.Minute)},
	field[Limits]{"reload_moves", percent(func(l *Limits) *int { return &l.ReloadMoves })},
	field[Limits]{"max_answers", integer(func(l *Limits) *int { return &l.MaxAnswers }, 1, 32)},
)

// maxInFlight bounds probes.max_in_flight: each holds a file descriptor.
const maxInFlight = 100_000

var probesBlock = newBlock("probes",
	field[Probes]{"max_in_flight", func(d *decoder, v value, p *Probes) {
		if v.node.Value == "auto" {
			p.MaxInFlight = 0
			return
		}
		p.MaxInFlight, _ = d.parseInt(v, 1, maxInFlight)
	}},
	field[Probes]{"allow_targets", networks(func(p *Probes) *[]netip.Prefix { return &p.AllowTargets })},
)

// maxSeries bounds metrics.services: each service has about a dozen series.
const maxSeries = 100_000

var metricsBlock = newBlock("metrics",
	field[Metrics]{"services", integer(func(m *Metrics) *int { return &m.Services }, 0, maxSeries)},
)

var selfBlock = newBlock("self",
	field[Self]{"name", label(func(s *Self) *string { return &s.Name })},
	field[Self]{"zone", func(d *decoder, v value, s *Self) { s.Zone, _ = d.parseRegion(v) }},
	field[Self]{"checks", canaries(func(s *Self) *[]Canary { return &s.Checks })},
)

var ecsBlock = newBlock("ecs",
	field[Config]{"trust", networks(func(c *Config) *[]netip.Prefix { return &c.ECSTrust })},
)
