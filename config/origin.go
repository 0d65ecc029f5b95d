package config

import (
	"cmp"
	"slices"
)

// Source is where services come from besides the file.
type Source struct {
	Consul *Consul // never nil: it is the only kind
}

// Consul is a catalog whose services are steered.
type Consul struct {
	Agent       Store        // how an agent is reached; without Datacenter and Region
	Datacenters []Datacenter // that are read; none = that of the agent
	AllowPorts  []PortRange  // of its instances; none = any
}

// PortRange is an inclusive range of ports.
type PortRange struct{ Low, High uint16 }

// AllowsPort reports whether an instance may be at a port.
func (c *Consul) AllowsPort(port uint16) bool {
	return len(c.AllowPorts) == 0 || slices.ContainsFunc(c.AllowPorts, func(r PortRange) bool { return r.Low <= port && port <= r.High })
}

// Datacenter is one of Consul's.
type Datacenter struct {
	Name   string
	Region string // of the instances that say none themselves
}

// Origin is where the endpoints of a service come from that the file does not
// list.
type Origin struct {
	Source    int        // index in Config.Sources
	Name      string     // in the catalog
	Region    RegionFrom // of an instance
	Order     []string   // regions in order of priority; others follow by name
	Namespace string     // "" = that of the token
	Partition string     // "" = that of the agent
	Peer      string     // "" = none: the catalog's own instances

	minHealthy quota
}

// RegionFrom says where the region of an instance comes from.
type RegionFrom string

// Where a region comes from.
const (
	FromEither     RegionFrom = ""           // meta, else datacenter
	FromMeta       RegionFrom = "meta"       // its service's or its node's metadata
	FromTag        RegionFrom = "tag"        // a tag provider/name
	FromDatacenter RegionFrom = "datacenter" // Consul.Datacenters
)

// ConsulMonitor is the name of the monitor that stands for Consul's own checks.
// There is one if there are sources, and every service of theirs has it.
const ConsulMonitor = "consul"

// MaxPools bounds the pools of a service.
const MaxPools = 64

// ValidRegion reports whether s has the form of a region's name, provider/name.
func ValidRegion(s string) bool { return len(s) <= maxName && regionName.MatchString(s) }

// Discover returns c with the pools of services that come from a source, by their
// names: in each service's order, at most MaxPools, with its min_healthy. A service
// without an entry, and those of the file, stay as they are. The result shares with
// c what does not differ, its Hash included: it is the same file.
func (c *Config) Discover(pools map[string][]Pool) *Config {
	out := *c
	out.Services, out.Regions = slices.Clone(c.Services), slices.Clone(c.Regions)
	known := map[string]bool{}
	for _, r := range out.Regions {
		known[r.Name] = true
	}
	for i := range out.Services {
		s := &out.Services[i]
		if found, ok := pools[s.Name]; ok && s.From != nil {
			s.Pools = s.From.arrange(found)
			out.addRegions(s.Pools, known)
		}
	}
	out.buildIndex()
	return &out
}

// arrange puts pools into the service's order.
func (o *Origin) arrange(pools []Pool) []Pool {
	pools = slices.Clone(pools)
	rank := func(region string) int {
		if i := slices.Index(o.Order, region); i >= 0 {
			return i
		}
		return len(o.Order)
	}
	slices.SortStableFunc(pools, func(a, b Pool) int {
		if x, y := rank(a.Region), rank(b.Region); x != y {
			return x - y
		}
		return cmp.Compare(a.Region, b.Region)
	})
	pools = pools[:min(len(pools), MaxPools)]
	for i := range pools {
		pools[i].MinHealthy = o.minHealthy.of(len(pools[i].Endpoints))
	}
	return pools
}

func (c *Config) addRegions(pools []Pool, known map[string]bool) {
	for _, p := range pools {
		if !known[p.Region] {
			known[p.Region] = true
			c.Regions = append(c.Regions, Region{Name: p.Region})
		}
	}
}
