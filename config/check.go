package config

import (
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// finishPools makes the pools of a service from what was read: quotas become
// percentages, regions get known.
func (d *decoder) finishPools(s *serviceDraft) {
	for i := range s.pools {
		p := &s.pools[i]
		q := p.minHealthy
		if q.at.node == nil {
			q = s.minHealthy
		}
		d.checkQuota(q, p, s.called())
		p.MinHealthy = q.of(p.enabled())
		if p.Region != "" {
			d.region(p.Region)
		}
		s.Pools = append(s.Pools, p.Pool)
	}
	d.checkTwice(s)
	d.checkEnabled(s)
}

// enabled is the number of endpoints that count: an endpoint that is not
// enabled has no standing.
func (p *poolDraft) enabled() int {
	n := 0
	for _, e := range p.Endpoints {
		if e.Enabled {
			n++
		}
	}
	return n
}

func (d *decoder) checkQuota(q quota, p *poolDraft, service string) {
	n := p.enabled()
	if q.counted && q.count > n && n > 0 {
		d.fault(q.at, "min_healthy %d is larger than pool %s of %s, which has %d enabled: make it at most %d, or write a percentage such as 50%%",
			q.count, p.Region, service, n, n)
	}
}

// target is where an endpoint is.
type target struct {
	addr netip.Addr
	name string
}

// checkTwice faults an address or a name that a service has twice: it would be
// counted, probed and answered twice.
func (d *decoder) checkTwice(s *serviceDraft) {
	first := map[target]*yaml.Node{}
	for _, p := range s.pools {
		for i, e := range p.Endpoints {
			key, at := target{e.Address, e.Name}, p.nodes[i]
			if before, twice := first[key]; twice {
				d.faultAt(at, "%s is in %s twice, first in line %d: remove one, and use weight to send it more", e.Label(), s.called(), before.Line)
				continue
			}
			first[key] = at
			if e.Name != "" && e.Name == s.Name {
				d.faultAt(at, "the endpoint is the service's own name: name what stands behind it")
			}
		}
	}
}

func (d *decoder) checkEnabled(s *serviceDraft) {
	all, enabled := 0, 0
	for _, p := range s.pools {
		all, enabled = all+len(p.Endpoints), enabled+p.enabled()
	}
	if all > 0 && enabled == 0 {
		d.fault(s.at, "every endpoint of %s has enabled: false: enable one, or remove the service", s.called())
	}
}

// checkService holds the keys of a service against one another.
func (d *decoder) checkService(seen given, s *serviceDraft) {
	if !seen.has("pools") && s.From == nil && !d.bad[s.node] {
		d.fault(s.at, "service %s has no pools: add pools: with at least one region", s.called())
	}
	if len(s.Monitors) == 0 && d.sound(seen, "monitors") && !d.hasFaultIn(seen["monitors"].node) && !d.bad[s.node] {
		d.fault(s.at, "service %s has no monitors: nothing would tell whether it lives, add monitors: [name]", s.called())
	}
	d.checkRecords(seen, s)
	d.checkSingleWriter(seen, s)
	d.warnService(seen, s)
}

// called returns the service's name as people write it, also if it is a fault.
func (s *serviceDraft) called() string { return plain(s.at.node.Value) }

// hasFaultIn reports whether an item of the list n, which may be nil, is a fault.
func (d *decoder) hasFaultIn(n *yaml.Node) bool {
	return n != nil && slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return d.bad[resolve(c)] })
}

func (d *decoder) checkRecords(seen given, s *serviceDraft) {
	needPort := []string{"alpn", "srv"}
	if s.From != nil {
		needPort = needPort[:1] // a catalog says the ports of SRV
	}
	for _, key := range needPort {
		if seen.has(key) && !seen.has("port") {
			d.fault(seen[key], "%s without port: add port:, such as port: 443", key)
		}
	}
	if seen.has("srv") && strings.HasPrefix(s.Name, "*.") {
		d.fault(seen["srv"], "srv on a wildcard: an SRV record must lead to one name; give that name a service of its own")
	}
	if seen.has("except") && s.Name != "" {
		d.checkExcept(seen["except"], s)
	}
}

func (d *decoder) checkExcept(v value, s *serviceDraft) {
	parent, isWildcard := strings.CutPrefix(s.Name, "*")
	if !isWildcard {
		d.fault(v, "except on %s, which is no wildcard: remove it, or name the service *.%s", s.called(), s.called())
		return
	}
	for _, name := range s.Except {
		if !strings.HasSuffix(name, parent) {
			d.fault(v, "except %s is not below %s: write names that the wildcard would answer, such as mail%s", plain(name), s.called(), plain(parent))
		}
	}
}

func (d *decoder) checkSingleWriter(seen given, s *serviceDraft) {
	if !s.SingleWriter {
		return
	}
	if s.Policy != Failover {
		d.fault(seen["policy"], "policy %s with single_writer would use several pools at once: use failover, or remove single_writer", s.Policy)
	}
	if len(s.Failback.Ramp) > 1 {
		d.fault(seen["failback"], "a ramp with single_writer would use two pools at once: use ramp: [100], or remove single_writer")
	}
	if s.Families == "separate" {
		d.fault(seen["families"], "families separate with single_writer may use one pool for IPv4 and another for IPv6: use together, or remove single_writer")
	}
	if s.LastResort.Mode == "all" {
		d.fault(seen["last_resort"], "last_resort all with single_writer would use every pool at once: use order or none, or remove single_writer")
	}
}

func (d *decoder) warnService(seen given, s *serviceDraft) {
	if len(s.Pools) == 1 {
		d.warn(s.at.node, "%s has one pool only, and nothing to fail over to: add a pool in another region", s.called())
	}
	if s.Families == "together" {
		d.warnFamilies(s)
	}
	d.warnVotes(seen, s)
}

func (d *decoder) warnVotes(seen given, s *serviceDraft) {
	for _, name := range s.Monitors {
		if d.cfg.Monitors[d.monitors[name]].Votes {
			return
		}
	}
	if len(s.Monitors) > 0 {
		d.warn(seen["monitors"].node, "no monitor of %s votes, so that it never moves: remove votes: false from one", s.called())
	}
}

// warnFamilies warns of a pool that lacks a family which an earlier one has:
// after a failover clients of that family get no address. A pool with a name
// may have any family.
func (d *decoder) warnFamilies(s *serviceDraft) {
	var had families
	for _, p := range s.pools {
		has := familiesOf(p.Endpoints)
		if !has.named {
			d.warnFamily(p, s.called(), "IPv4", had.v4 && !has.v4)
			d.warnFamily(p, s.called(), "IPv6", had.v6 && !has.v6)
		}
		had.v4, had.v6 = had.v4 || has.v4, had.v6 || has.v6
	}
}

func (d *decoder) warnFamily(p poolDraft, service, family string, lacks bool) {
	if lacks && len(p.Endpoints) > 0 {
		d.warn(p.at.node, "pool %s of %s has no %s address and an earlier pool has: after a failover those clients get none, add one",
			p.Region, service, family)
	}
}

type families struct{ v4, v6, named bool }

func familiesOf(endpoints []Endpoint) (f families) {
	for _, e := range endpoints {
		f.named = f.named || e.Name != ""
		f.v4 = f.v4 || isFamily(e.Address, 32)
		f.v6 = f.v6 || isFamily(e.Address, 128)
	}
	return f
}

func isFamily(a netip.Addr, bits int) bool { return a.BitLen() == bits }
