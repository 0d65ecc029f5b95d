// Package consul follows services of a Consul catalog.
//
// Every service is read in every datacenter by blocking queries of one endpoint,
// /v1/health/service/NAME, which holds the instances and what Consul's checks say of
// them. Nothing that Consul does, or fails to do, empties what is known: errors and
// resets of the index change nothing, and an empty answer must be given twice
// before it is believed, and even then never leaves a service without an address.
//
// The client is written by hand on net/http: it is one endpoint, whose answers are
// read in a stream with bounds, while Consul's own client reads environment
// variables that would override failover.yaml, follows redirects with the token in
// hand, and bounds nothing.
package consul

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
)

// Reason says why an instance was ignored.
type Reason string

// The reasons.
const (
	Malformed Reason = "malformed" // fields of other types than Consul's
	TooLarge  Reason = "meta"      // more than 64 kB of metadata
	NoAddress Reason = "address"   // none, or a name
	Forbidden Reason = "forbidden" // loopback, link-local, metadata and the like, unless allowed
	NoRegion  Reason = "region"    // none, or not provider/name
	Elsewhere Reason = "networks"  // not in the networks of its region
	BadPort   Reason = "port"      // not one of allow_ports
	Heavy     Reason = "weight"    // an address of more than ten times the median: it is taken with that
	TooMany   Reason = "too_many"  // beyond source.MaxInstances
)

// Ignored counts what was ignored of an answer.
type Ignored map[Reason]int

// rules say how the entries of an answer become instances.
type rules struct {
	datacenter string // where it is read; "" is the agent's own
	region     config.RegionFrom
	regions    map[string]string // region by datacenter
	known      map[string]bool   // regions that failover.yaml names
	targets    config.Targets    // where instances may be
	allowsPort func(uint16) bool // nil: any
}

// instances returns the instances that entries hold, sorted so that two resolvers
// with the same entries have the same, and counts those ignored in ignored.
func (r *rules) instances(entries []entry, ignored Ignored) []source.Instance {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b entry) int {
		return strings.Compare(a.Node.Node+"\x00"+a.Service.ID, b.Node.Node+"\x00"+b.Service.ID)
	})
	var all []source.Instance
	for i := range entries {
		in, why := r.instance(&entries[i])
		if why != "" {
			ignored[why]++
			continue
		}
		if port := entries[i].Service.Port; port != 0 {
			in.Ports = []source.Port{{Number: uint16(port), Weight: in.Weight}} // #nosec G115 -- checked by instance
		}
		all = append(all, in)
	}
	all, left := source.Merge(all)
	if left > 0 {
		ignored[TooMany] += left
	}
	return all
}

func (r *rules) instance(e *entry) (source.Instance, Reason) {
	in := source.Instance{Datacenter: r.datacenter}
	if e.size() > maxMeta {
		return in, TooLarge
	}
	text := e.Service.Address
	if text == "" {
		text = e.Node.Address
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return in, NoAddress
	}
	in.Addr = addr.Unmap()
	if _, bad := r.targets.Forbidden(in.Addr); bad {
		return in, Forbidden
	}
	if in.Region = r.regionOf(e); in.Region == "" {
		return in, NoRegion
	}
	if !r.targets.Within(in.Region, in.Addr) {
		return in, Elsewhere
	}
	if !r.mayServe(e.Service.Port) {
		return in, BadPort
	}
	in.Status, in.Detail = statusOf(e.Checks)
	in.Weight = weightOf(e.Service.Weights.Passing)
	if in.Status == source.Warning {
		in.Weight = weightOf(e.Service.Weights.Warning)
	}
	return in, ""
}

// The largest port, and the largest weight that Consul allows: it must fit into an SRV
// record.
const (
	maxPort   = 65535
	maxWeight = 65535
)

// mayServe reports whether an instance may be at a port; 0 is none.
func (r *rules) mayServe(port int) bool {
	return port == 0 || port > 0 && port <= maxPort && (r.allowsPort == nil || r.allowsPort(uint16(port))) // #nosec G115 -- bounded
}

// weightOf returns a weight within bounds. One of 0 would never be chosen: Consul allows
// it in the state warning, and its own DNS says it in SRV, where it is nearly never.
func weightOf(w int) int { return min(max(w, 1), maxWeight) }

// regionOf returns the region of an instance, "" if there is none.
func (r *rules) regionOf(e *entry) string {
	region := ""
	switch r.region {
	case config.FromMeta:
		region = metaRegion(e)
	case config.FromTag:
		region = r.tagRegion(e.Service.Tags)
	case config.FromDatacenter:
		region = r.datacenterRegion(e)
	case config.FromEither:
		if region = metaRegion(e); !config.ValidRegion(region) {
			region = r.datacenterRegion(e)
		}
	}
	if !config.ValidRegion(region) {
		return ""
	}
	return region
}

// metaRegion reads the metadata of the service, and what that lacks from the
// node's.
func metaRegion(e *entry) string {
	get := func(key string) string {
		v, ok := e.Service.Meta[key]
		if !ok {
			v = e.Node.Meta[key]
		}
		return strings.ToLower(strings.TrimSpace(v))
	}
	region, provider := get("region"), get("provider")
	if strings.Contains(region, "/") || provider == "" || region == "" {
		return region
	}
	return provider + "/" + region
}

// tagRegion returns the first tag that is a region which failover.yaml names, else
// the first that could be one: other tags have a slash as well.
func (r *rules) tagRegion(tags []string) string {
	for _, t := range tags {
		if r.known[t] {
			return t
		}
	}
	if i := slices.IndexFunc(tags, config.ValidRegion); i >= 0 {
		return tags[i]
	}
	return ""
}

// datacenterRegion goes by where the instance runs, which of a peer's instances is
// not where they are read.
func (r *rules) datacenterRegion(e *entry) string {
	if region, ok := r.regions[e.Node.Datacenter]; ok {
		return region
	}
	return r.regions[r.datacenter]
}
