package config

import (
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var overrideBlock = newBlock("override",
	field[Override]{"target", decodeOverrideTarget},
	field[Override]{"do", enum(func(o *Override) *string { return &o.Do }, "drain", "down", "up")},
	field[Override]{"reason", readable(func(o *Override) *string { return &o.Reason })},
	field[Override]{"owner", readable(func(o *Override) *string { return &o.Owner })},
	field[Override]{"until", decodeUntil},
	field[Override]{"last_resort", boolean(func(o *Override) *bool { return &o.LastResort })},
	field[Override]{"break_glass", boolean(func(o *Override) *bool { return &o.BreakGlass })},
)

// handBound is that of a file of overrides.
var handBound = Bound{Bytes: 64 << 10, Marks: 64 << 10}

// ParseOverrides reads data, the content of a file of overrides at path: a list
// such as that under overrides: here, or overrides: with the list, with targets that
// c has. An empty file has none. The error is of type Faults and holds every fault.
func (c *Config) ParseOverrides(path string, data []byte) ([]Override, error) {
	if len(data) > handBound.Bytes {
		return nil, Faults{{File: path, Message: "the file is larger than 64 KiB: it is no list of overrides"}}
	}
	root, faults := parseTree(path, data, handBound)
	switch {
	case len(faults) == 1 && faults[0].Message == emptyFile:
		return nil, nil
	case len(faults) > 0:
		return nil, faults
	}
	d := newDecoder(path)
	d.cfg, d.services, d.regions = c, c.index.services, c.index.regions
	var out Config
	if list := d.bareList(root); list != nil {
		decodeOverrides(d, value{"overrides", list}, &out)
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return out.Overrides, nil
}

// bareList returns the list that a file of overrides is, or has under overrides:; nil
// if there is none, which is a fault unless overrides: is empty.
func (d *decoder) bareList(root *yaml.Node) *yaml.Node {
	switch {
	case root.Kind == yaml.SequenceNode:
		return root
	case root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != "overrides":
		d.fault(value{"file", root}, "the file is %s: write only a list into it, as under overrides: of failover.yaml: - {target: aws/us-east-1, do: drain, reason: why, owner: you}", kind(root))
		return nil
	}
	list := resolve(root.Content[1])
	if list.ShortTag() == "!!null" {
		return nil
	}
	return list
}

// OverridesOver warns of those of the file that are over at a time: they do nothing.
func (c *Config) OverridesOver(now time.Time) (out []Fault) {
	for _, o := range c.Overrides {
		if !o.Until.IsZero() && !o.Until.After(now) {
			out = append(out, Fault{File: c.Path, Line: o.Line, Col: o.Col, Message: "the override on " + plain(o.Target) + " is over since " +
				o.Until.UTC().Format(time.RFC3339) + " and does nothing: give it another until:, or remove it"})
		}
	}
	return out
}

// decodeOverrides reads the overrides that live in the file.
func decodeOverrides(d *decoder, v value, c *Config) {
	first := map[string]int{} // line by target
	for _, item := range d.list(v) {
		o := Override{Line: item.node.Line, Col: item.node.Column}
		seen := overrideBlock.decode(d, item, &o)
		d.checkOverride(seen, item, o)
		if line, twice := first[o.Target]; twice && o.Target != "" {
			d.fault(seen["target"], "%s has an override already, in line %d: keep one", plain(o.Target), line)
			continue
		}
		first[o.Target] = o.Line
		c.Overrides = append(c.Overrides, o)
	}
}

func (d *decoder) checkOverride(seen given, v value, o Override) {
	for _, key := range []string{"target", "do", "reason", "owner"} {
		if !seen.has(key) && !d.bad[v.node] {
			d.fault(v, "the override has no %s: add %s:, so that everyone sees what, why and who", key, key)
		}
	}
	if o.LastResort && o.Do != "" && o.Do != "drain" {
		d.fault(seen["last_resort"], "last_resort with do: %s: only a drain can have it, remove one", o.Do)
	}
}

func decodeUntil(d *decoder, v value, o *Override) {
	s, ok := d.text(v)
	if !ok {
		return
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d.fault(v, "until %s is not a time: write it such as 2026-01-31T18:00:00Z", s)
		return
	}
	o.Until = t
}

// decodeOverrideTarget reads a region, a service or service/endpoint that the
// file has.
func decodeOverrideTarget(d *decoder, v value, o *Override) {
	s, ok := d.text(v)
	if !ok {
		return
	}
	target, ok := d.cfg.findTarget(s, d.regions, d.services)
	if !ok {
		d.fault(v, "unknown target %s: %s", s, d.suggest(s, func() []string { return d.cfg.targets(s) }))
		return
	}
	o.Target = target
}

// findTarget returns the canonical form of what an operator calls a target.
func (c *Config) findTarget(s string, regions, services map[string]int) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if _, ok := regions[s]; ok {
		return s, true
	}
	service, endpoint, hasEndpoint := strings.Cut(s, "/")
	service = fqdn(service)
	i, ok := services[service]
	switch {
	case !ok:
		return "", false
	case !hasEndpoint:
		return service, true
	}
	e, ok := c.Services[i].endpoint(endpoint)
	return service + "/" + e.Label(), ok
}

// endpoint returns the service's endpoint with the given address or name.
func (s *Service) endpoint(target string) (Endpoint, bool) {
	addr, _ := netip.ParseAddr(target)
	for _, p := range s.Pools {
		for _, e := range p.Endpoints {
			if addr.IsValid() && e.Address == addr.Unmap() || e.Name != "" && e.Name == fqdn(target) {
				return e, true
			}
		}
	}
	return Endpoint{}, false
}

// targets returns what could have been meant by s.
func (c *Config) targets(s string) []string {
	var all []string
	service, _, hasEndpoint := strings.Cut(s, "/")
	for i := range c.Services {
		name := c.Services[i].Name
		if !hasEndpoint {
			all = append(all, plain(name))
		} else if name == fqdn(service) {
			return c.Services[i].labels()
		}
	}
	for _, r := range c.Regions {
		all = append(all, r.Name)
	}
	return all
}

// labels returns service/endpoint for each endpoint.
func (s *Service) labels() []string {
	var all []string
	for _, p := range s.Pools {
		for _, e := range p.Endpoints {
			all = append(all, plain(s.Name)+"/"+e.Label())
		}
	}
	return all
}

// fqdn returns s as names are kept: in lower case, with the last dot.
func fqdn(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") + "." }

// plain returns a name as people write it, without the last dot.
func plain(name string) string { return strings.TrimSuffix(name, ".") }
