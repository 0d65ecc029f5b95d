package config

import (
	"net/netip"
	"slices"
)

var regionBlock = newBlock("region",
	field[Region]{"networks", networks(func(r *Region) *[]netip.Prefix { return &r.Networks })},
	field[Region]{"clients", networks(func(r *Region) *[]netip.Prefix { return &r.Clients })},
	field[Region]{"canaries", canaries(func(r *Region) *[]Canary { return &r.Canaries })},
	field[Region]{"near", decodeNear},
)

// decodeRegions reads the details of regions.
func decodeRegions(d *decoder, v value, c *Config) {
	home := map[netip.Prefix]string{} // region by client network
	for _, e := range d.entries(v) {
		name, ok := d.parseRegion(value{"region", e.key})
		if !ok {
			continue
		}
		r := Region{Name: name}
		seen := regionBlock.decode(d, e.value, &r)
		if !seen.has("clients") {
			r.Clients = r.Networks
		}
		d.checkRegion(seen, r, home)
		i := d.region(name)
		c.Regions[i] = r
	}
}

func (d *decoder) checkRegion(seen given, r Region, home map[netip.Prefix]string) {
	if slices.Contains(r.Near, r.Name) {
		d.fault(seen["near"], "%s is near itself: list other regions, it always comes first", r.Name)
	}
	at := seen["clients"]
	if !seen.has("clients") {
		at = seen["networks"]
	}
	for _, p := range r.Clients {
		if other, ok := home[p]; ok {
			d.fault(at, "clients from %s are local to %s and to %s: list the network under one of them", p, other, r.Name)
		}
		home[p] = r.Name
	}
}

func decodeNear(d *decoder, v value, r *Region) {
	for _, item := range d.list(v) {
		name, ok := d.parseRegion(item)
		switch {
		case !ok:
		case slices.Contains(r.Near, name):
			d.fault(item, "near has %s twice: remove one", name)
		default:
			r.Near = append(r.Near, name)
		}
	}
}

// region returns the index of a region, which it adds if it is new.
func (d *decoder) region(name string) int {
	i, ok := d.regions[name]
	if !ok {
		i = len(d.cfg.Regions)
		d.regions[name] = i
		d.cfg.Regions = append(d.cfg.Regions, Region{Name: name})
	}
	return i
}
