package config

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var zoneBlock = newBlock("zone",
	field[Zone]{"ns", names(func(z *Zone) *[]string { return &z.NS })},
	field[Zone]{"mbox", decodeMbox},
	field[Zone]{"minimum", seconds(func(z *Zone) *time.Duration { return &z.Minimum }, time.Second, maxTTL)},
)

// decodeZones reads the zones whose apex is ours.
func decodeZones(d *decoder, v value, c *Config) {
	first := map[string]int{} // line by name
	for _, e := range d.entries(v) {
		name, ok := d.parseName(value{"zone", e.key}, false)
		z := Zone{Name: name, Mbox: "hostmaster." + name, Minimum: d.defaults.TTL.Changing}
		seen := zoneBlock.decode(d, e.value, &z)
		if len(z.NS) == 0 && !d.bad[e.node] && !d.hasFaultIn(seen["ns"].node) {
			d.faultAt(e.key, "zone %s has no ns: list its name servers, such as ns: [ns1.%s]", plain(name), plain(name))
		}
		if line, twice := first[name]; ok && twice {
			d.faultAt(e.key, "zone %s is given twice, first in line %d: remove one", plain(name), line)
			continue
		}
		if ok {
			first[name] = e.key.Line
			c.Zones = append(c.Zones, z)
		}
	}
}

func decodeMbox(d *decoder, v value, z *Zone) {
	if s := v.node.Value; strings.Contains(s, "@") {
		d.fault(v, "mbox %s has an @: write it as a name, %s", s, strings.Replace(s, "@", ".", 1))
		return
	}
	name(func(z *Zone) *string { return &z.Mbox })(d, v, z)
}

// faultService is for what shows only when the whole file is read.
func (d *decoder) faultService(s *Service, format string, args ...any) {
	d.faultAt(&yaml.Node{Line: s.Line, Column: s.Col}, format, args...)
}

// checkOwners faults a SRV owner that is a service of its own as well.
func (d *decoder) checkOwners() {
	for i := range d.cfg.Services {
		s := &d.cfg.Services[i]
		for _, owner := range s.SRV {
			name := owner + "." + s.Name
			if _, ok := d.services[name]; ok {
				d.faultService(s, "srv %s of %s is a service of its own: remove one of the two", owner, plain(s.Name))
			}
		}
	}
}

// checkZones faults what a zone forbids its services: a CNAME at its apex.
func (d *decoder) checkZones() {
	for _, z := range d.cfg.Zones {
		i, ok := d.services[z.Name]
		if !ok {
			continue
		}
		if s := &d.cfg.Services[i]; !s.Flatten {
			d.faultService(s, "flatten: false on %s would answer a CNAME at the apex of its zone: remove flatten, or move the service below the apex", plain(s.Name))
		}
	}
}
