package config

import (
	"strings"
	"time"
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
			d.faultAt(e.key, "zone %s has no ns: list its name servers, such as ns: [ns1.%s]", name, name)
		}
		if line, twice := first[name]; ok && twice {
			d.faultAt(e.key, "zone %s is given twice, first in line %d: remove one", name, line)
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

// checkZones faults what a zone forbids its services: a CNAME at its apex.
func (d *decoder) checkZones(seen given) {
	for _, z := range d.cfg.Zones {
		i, ok := d.services[z.Name]
		if !ok {
			continue
		}
		if s := d.cfg.Services[i]; !s.Flatten {
			d.faults = append(d.faults, Fault{File: d.path, Line: s.Line, Col: s.Col, Message: "flatten: false on " + s.Name +
				" would answer a CNAME at the apex of its zone: remove flatten, or move the service below the apex"})
		}
	}
	_ = seen
}
