package config

import (
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v3"
)

// poolDraft is a pool while it is read.
type poolDraft struct {
	Pool

	at         value
	minHealthy quota
	endpoints  value
	nodes      []*yaml.Node // of Endpoints, by index
}

var poolBlock = newBlock("pool",
	field[poolDraft]{"region", func(d *decoder, v value, p *poolDraft) { p.Region, _ = d.parseRegion(v) }},
	field[poolDraft]{"weight", integer(func(p *poolDraft) *int { return &p.Weight }, 1, maxWeight)},
	field[poolDraft]{"min_healthy", decodeQuota(func(p *poolDraft) *quota { return &p.minHealthy })},
	field[poolDraft]{"endpoints", decodeEndpoints},
)

// maxWeight keeps the sum of a service's weights far inside 32 bits.
const maxWeight = 1_000_000

// decodePools reads the pools of a service, in order of priority.
func decodePools(d *decoder, v value, s *serviceDraft) {
	if v.node.Kind == yaml.MappingNode {
		d.fault(v, "pools is a block of keys: write a list, because the order counts, with - before each region")
		return
	}
	for _, item := range d.list(v) {
		p := poolDraft{at: item}
		if d.readPool(item, &p) {
			s.pools = append(s.pools, p)
		}
	}
	if len(s.pools) > MaxPools {
		d.fault(v, "pools has %d entries: at most %d", len(s.pools), MaxPools)
	}
	if len(v.node.Content) == 0 && !d.bad[v.node] {
		d.fault(v, "pools is empty: list at least one, such as - aws/us-east-1: [192.0.2.10]")
	}
}

// readPool reads either form of a pool:
//
//   - aws/us-east-1: [192.0.2.10, ...]
//   - {region: aws/us-east-1, endpoints: [192.0.2.10, ...], ...}
func (d *decoder) readPool(v value, p *poolDraft) bool {
	if v.node.Kind != yaml.MappingNode {
		d.fault(v, "a pool is %s: write - aws/us-east-1: [192.0.2.10], or region: and endpoints:", kind(v.node))
		return false
	}
	key, isShort := shortForm(v.node)
	switch {
	case isShort && len(v.node.Content) > 2:
		d.fault(v, "a pool is in one region: begin each region with its own -")
		return false
	case isShort:
		p.Region, _ = d.parseRegion(value{"region", key})
		for _, e := range d.entries(v) {
			decodeEndpoints(d, value{"endpoints", e.node}, p)
		}
		return true
	}
	seen := poolBlock.decode(d, v, p)
	d.needPoolKeys(seen, v)
	return true
}

// shortForm returns the first key that is no key of the long form and looks
// like a region, or whose value is a list.
func shortForm(n *yaml.Node) (*yaml.Node, bool) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if strings.Contains(key.Value, "/") {
			return key, true
		}
		_, near := nearest(key.Value, poolBlock.keys())
		if len(n.Content) == 2 && !near && resolve(n.Content[i+1]).Kind == yaml.SequenceNode {
			return key, true
		}
	}
	return nil, false
}

func (d *decoder) needPoolKeys(seen given, v value) {
	if !seen.has("region") {
		d.fault(v, "the pool is in no region: add region: provider/name, such as region: aws/us-east-1")
	}
	if !seen.has("endpoints") {
		d.fault(v, "the pool has no endpoints: add endpoints: [address, ...]")
	}
}

// endpointDraft is an endpoint while it is read.
type endpointDraft struct {
	Endpoint

	at value
}

var endpointBlock = newBlock("endpoint",
	field[endpointDraft]{"address", func(d *decoder, v value, e *endpointDraft) {
		e.at = v
		d.parseTarget(v, &e.Endpoint)
	}},
	field[endpointDraft]{"weight", integer(func(e *endpointDraft) *int { return &e.Weight }, 1, maxWeight)},
	field[endpointDraft]{"enabled", boolean(func(e *endpointDraft) *bool { return &e.Enabled })},
)

func decodeEndpoints(d *decoder, v value, p *poolDraft) {
	p.endpoints = v
	items := d.list(v)
	switch {
	case v.node.Kind != yaml.SequenceNode:
	case len(items) == 0:
		d.fault(v, "the pool has no endpoints: list at least one address")
	case len(items) > maxEndpoints:
		d.fault(v, "the pool has %d endpoints: at most %d can be probed and answered sensibly, name a load balancer instead", len(items), maxEndpoints)
		return
	}
	for _, item := range items {
		e := endpointDraft{Endpoint: Endpoint{Weight: 1, Enabled: true}, at: item}
		if item.node.Kind == yaml.MappingNode {
			seen := endpointBlock.decode(d, item, &e)
			if !seen.has("address") {
				d.fault(item, "the endpoint has no address: add address:, an address or a name")
			}
		} else {
			d.parseTarget(item, &e.Endpoint)
		}
		p.add(e)
	}
}

func (p *poolDraft) add(e endpointDraft) {
	if e.Address.IsValid() || e.Name != "" {
		p.Endpoints = append(p.Endpoints, e.Endpoint)
		p.nodes = append(p.nodes, e.at.node)
	}
}

// parseTarget reads an endpoint's address or target name.
func (d *decoder) parseTarget(v value, e *Endpoint) {
	s, ok := d.text(v)
	if !ok {
		return
	}
	if _, err := netip.ParseAddr(s); err == nil {
		if e.Address, ok = d.parseAddr(v); ok {
			d.refuseTarget(v, e.Address)
		}
		return
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		d.fault(v, "endpoint %s has a port: write %s, the port is the monitor's", s, ap.Addr())
		return
	}
	name, err := canonicalName(s, false)
	if err != nil {
		d.fault(v, "endpoint %s is neither an address nor a name, it %v", s, err)
		return
	}
	if why, ok := neverServed[topOf(name)]; ok {
		d.fault(v, "endpoint %s has no address to find, .%s is special: %s; name a machine or a load balancer", s, plain(topOf(name)), why)
		return
	}
	e.Name = name
}
