package config

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// serviceDraft is a service while it is read.
type serviceDraft struct {
	Service

	at         value      // its name, as written
	node       *yaml.Node // its block
	minHealthy quota
	pools      []poolDraft
}

// serviceBlock reads single_writer first: it sets what the keys below it may
// then change.
var serviceBlock = newBlock("service",
	field[serviceDraft]{"single_writer", decodeSingleWriter},
	field[serviceDraft]{"mode", enum(func(s *serviceDraft) *Mode { return &s.Mode }, Act, Observe)},
	field[serviceDraft]{"policy", enum(func(s *serviceDraft) *Policy { return &s.Policy }, Failover, Weighted, Nearest, All)},
	field[serviceDraft]{"monitors", decodeMonitorNames},
	field[serviceDraft]{"min_healthy", decodeQuota(func(s *serviceDraft) *quota { return &s.minHealthy })},
	field[serviceDraft]{"pools", decodePools},
	field[serviceDraft]{"port", portNumber(func(s *serviceDraft) *uint16 { return &s.Port })},
	field[serviceDraft]{"alpn", decodeALPN},
	field[serviceDraft]{"srv", decodeSRV},
	field[serviceDraft]{"except", names(func(s *serviceDraft) *[]string { return &s.Except })},
	field[serviceDraft]{"families", enum(func(s *serviceDraft) *string { return &s.Families }, "together", "separate")},
	field[serviceDraft]{"sticky", boolean(func(s *serviceDraft) *bool { return &s.Sticky })},
	field[serviceDraft]{"public", boolean(func(s *serviceDraft) *bool { return &s.Public })},
	field[serviceDraft]{"flatten", boolean(func(s *serviceDraft) *bool { return &s.Flatten })},
	field[serviceDraft]{"ttl", decodeTTL(func(s *serviceDraft) *TTL { return &s.TTL })},
	field[serviceDraft]{"hold_down", decodeHoldDown(func(s *serviceDraft) *HoldDown { return &s.HoldDown })},
	field[serviceDraft]{"failback", decodeFailback(func(s *serviceDraft) *Failback { return &s.Failback })},
	field[serviceDraft]{"last_resort", decodeLastResort(func(s *serviceDraft) *LastResort { return &s.LastResort })},
)

// decodeServices reads the services, each a name and a block.
func decodeServices(d *decoder, v value, _ *Config) {
	for _, e := range d.entries(v) {
		at := value{"service", e.key}
		name, _ := d.parseName(at, true)
		d.addService(at, d.service(name, at, e.value))
	}
}

// addService takes a service whose name stands at a place of the file, unless
// there is one of that name.
func (d *decoder) addService(at value, s Service) {
	c := d.cfg
	if s.Name == "" {
		return
	}
	if i, twice := d.services[s.Name]; twice {
		d.fault(at, "service %s is given twice, first in line %d: remove one, upper case and a last dot make no difference", plain(s.Name), c.Services[i].Line)
		return
	}
	d.services[s.Name] = len(c.Services)
	c.Services = append(c.Services, s)
}

// newService returns a service with what does not depend on its keys.
func (d *decoder) newService(name string, at, v value) serviceDraft {
	def := d.defaults
	s := serviceDraft{at: at, node: v.node, minHealthy: def.MinHealthy, Service: Service{
		Name: name, Mode: d.cfg.Mode, Policy: Failover, Families: "together", Flatten: true,
		TTL: def.TTL, HoldDown: def.HoldDown, Failback: def.Failback, LastResort: def.LastResort,
		Line: at.node.Line, Col: at.node.Column,
	}}
	s.Failback.Ramp, s.LastResort.Addresses = slices.Clone(s.Failback.Ramp), slices.Clone(s.LastResort.Addresses)
	return s
}

func (d *decoder) service(name string, at, v value) Service {
	s := d.newService(name, at, v)
	if name != "" {
		d.checkServiceName(at, name)
	}
	seen := serviceBlock.decode(d, v, &s)
	d.finishPools(&s)
	d.checkService(seen, &s)
	return s.Service
}

// decodeSingleWriter applies the preset for active/standby, where two writers
// at once are worse than none: traffic goes back by hand, all at once, and
// never to a second place.
func decodeSingleWriter(d *decoder, v value, s *serviceDraft) {
	boolean(func(s *serviceDraft) *bool { return &s.SingleWriter })(d, v, s)
	if s.SingleWriter {
		s.Failback.Manual, s.Failback.Ramp = true, []int{100}
		s.LastResort = LastResort{Mode: "order"}
	}
}

func decodeMonitorNames(d *decoder, v value, s *serviceDraft) {
	for _, item := range d.list(v) {
		name, ok := d.text(item)
		i, exists := d.monitors[name]
		switch {
		case !ok:
		case !exists:
			d.fault(item, "unknown monitor %s: %s", name, d.suggest(name, d.cfg.monitorNames))
		case slices.Contains(s.Monitors, name):
			d.fault(item, "monitors has %s twice: remove one", name)
		default:
			s.Monitors = append(s.Monitors, name)
			if d.cfg.Monitors[i].OfInstance && s.From == nil {
				d.fault(item, "monitor %s takes its port from a catalog, and the endpoints of this service stand in this file: give the monitor a port", name)
			}
			d.warnWildcardHost(item, d.cfg.Monitors[i], s.Name)
		}
	}
}

// warnWildcardHost warns of a monitor that takes its host from a wildcard: it
// uses the name below the *, which a certificate for *.example.org does not
// cover.
func (d *decoder) warnWildcardHost(v value, m Monitor, service string) {
	parent, isWildcard := strings.CutPrefix(service, "*.")
	switch {
	case !isWildcard:
	case m.Type == DNS && m.Query.Name == "":
		d.warn(v.node, "monitor %s asks for %s, because %s is a wildcard: add query: {name: ...} to the monitor if the endpoints have another name", m.Name, plain(parent), plain(service))
	case m.Host == "" && slices.Contains([]MonitorType{TLS, HTTP, HTTPS}, m.Type):
		d.warn(v.node, "monitor %s uses the host %s, because %s is a wildcard: add host: to the monitor, a name that the endpoints serve", m.Name, plain(parent), plain(service))
	}
}

var (
	alpnID   = regexp.MustCompile(`^[!-~]+$`)
	srvOwner = regexp.MustCompile(`^_[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?\._(?:tcp|udp|sctp|tls)$`)
)

func decodeALPN(d *decoder, v value, s *serviceDraft) {
	for i, id := range d.texts(v) {
		if len(id) > 255 || !alpnID.MatchString(id) || strings.ContainsAny(id, `,\"`) {
			d.fault(value{v.key, v.node.Content[i]}, "alpn %s is not a protocol's identifier: write one such as h2 or h3", id)
			continue
		}
		s.ALPN = append(s.ALPN, id)
	}
}

func decodeSRV(d *decoder, v value, s *serviceDraft) {
	for _, owner := range d.texts(v) {
		owner = strings.ToLower(owner)
		if !srvOwner.MatchString(owner) {
			d.fault(v, "srv %s is not a service and a protocol: write them such as _https._tcp", owner)
			continue
		}
		s.SRV = append(s.SRV, owner)
	}
}
