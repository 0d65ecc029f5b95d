// Package plan is the one bridge from configuration and discovered endpoints to
// what is steered and what is checked. It is pure.
package plan

import (
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// Plan is a configuration with stable indexes: what is steered, and by which
// checks it is judged.
type Plan struct {
	Config *config.Config
	Steer  *steer.Plan
	Checks []Check
	Uses   [][]Use // by check: the pools that it judges
	Places int     // number of distinct addresses in regions
	Self   []int32 // checks that judge ourselves
	Names  []string
}

// Check is one monitor applied to one address.
type Check struct {
	Key     string // of what is checked, timing included; equal keys are one check
	Monitor *config.Monitor
	Region  int // -1: a self-check
	Place   int // index of the address among those in regions; -1 for self-checks
	Addr    netip.Addr
	Port    uint16 // 0: of a check that has none
	Host    string // name for SNI, Host and verification, without last dot; of a check that is told its service, with it
	Seat    string // address and service: where a check with an edited monitor finds its predecessor
	Params  health.Params
}

// Use is a pool of a service.
type Use struct {
	Service int32
	Pool    int16
}

// maker holds the indexes while a plan is made.
type maker struct {
	out     *Plan
	found   source.Found
	regions map[string]int
	checks  map[string]int32
	places  map[place]int
	names   map[string]bool
}

type place struct {
	region int
	addr   netip.Addr
}

// Make compiles cfg with the addresses found for its names. Services of catalogs
// have their endpoints by Fill.
func Make(cfg *config.Config, found source.Found) *Plan {
	m := &maker{
		out: &Plan{Config: cfg, Steer: &steer.Plan{
			Limits: steer.Limits{RegionsOut: cfg.Limits.RegionsOut, MaxAnswers: cfg.Limits.MaxAnswers},
		}},
		found: found, regions: map[string]int{}, checks: map[string]int32{},
		places: map[place]int{}, names: map[string]bool{},
	}
	m.addRegions()
	for i := range cfg.Services {
		m.service(&cfg.Services[i])
	}
	for i := range cfg.Self.Checks {
		c := &cfg.Self.Checks[i]
		m.out.Self = append(m.out.Self, m.check(&c.Monitor, -1, netip.AddrPortFrom(c.Addr, c.Monitor.Port), "", "self"))
	}
	m.out.Steer.Checks, m.out.Places = len(m.out.Checks), len(m.places)
	m.others()
	m.out.Steer.Index()
	return m.out
}

// others notes the names besides services' own that are there.
func (m *maker) others() {
	cfg, sp := m.out.Config, m.out.Steer
	for i := range cfg.Zones {
		sp.Others = append(sp.Others, cfg.Zones[i].Name)
	}
	for i := range cfg.Services {
		for _, label := range cfg.Services[i].SRV {
			sp.Others = append(sp.Others, SRVOwner(&cfg.Services[i], label))
		}
		for _, in := range Instances(&cfg.Services[i]) {
			sp.Others = append(sp.Others, in.Owner)
		}
	}
}

// SRVOwner is the owner name of a service's SRV record, label being such as
// "_https._tcp".
func SRVOwner(s *config.Service, label string) string {
	return strings.ToLower(label) + "." + strings.TrimPrefix(s.Name, "*.")
}

func (m *maker) addRegions() {
	cfg, sp := m.out.Config, m.out.Steer
	for i := range cfg.Regions {
		m.regions[cfg.Regions[i].Name] = i
	}
	clients := new(bart.Table[uint16])
	for i := range cfg.Regions {
		r := &cfg.Regions[i]
		sr := steer.Region{Name: r.Name}
		for _, n := range r.Near {
			sr.Near = append(sr.Near, m.regions[n]) // config knows every region named
		}
		for j := range r.Canaries {
			c := &r.Canaries[j]
			sr.Canaries = append(sr.Canaries, m.check(&c.Monitor, i, netip.AddrPortFrom(c.Addr, c.Monitor.Port), "", "canary"))
		}
		for _, p := range r.Clients {
			clients.Insert(p, uint16(i))
		}
		sp.Regions = append(sp.Regions, sr)
	}
	sp.Clients = clients
}

func (m *maker) service(s *config.Service) {
	out := steer.Service{
		Name: s.Name, Except: s.Except, Policy: policies[s.Policy],
		Monitors: strings.Join(s.Monitors, ","), Observe: s.Mode == config.Observe,
		Separate: s.Families == "separate", Sticky: s.Sticky, SingleWriter: s.SingleWriter,
		Settled: s.TTL.Settled, Changing: s.TTL.Changing,
		HoldDown:   steer.HoldDown(s.HoldDown),
		Failback:   steer.Failback(s.Failback),
		LastResort: steer.LastResort{Mode: resorts[s.LastResort.Mode], Addrs: s.LastResort.Addresses},
	}
	index := int32(len(m.out.Steer.Services))
	for i := range s.Pools {
		out.Pools = append(out.Pools, m.pool(s, &s.Pools[i], Use{index, int16(i)}))
	}
	m.out.Steer.Services = append(m.out.Steer.Services, out)
}

var policies = map[config.Policy]steer.Policy{
	config.Failover: steer.Failover, config.Weighted: steer.Weighted,
	config.Nearest: steer.Nearest, config.All: steer.All,
}

var resorts = map[string]steer.ResortMode{
	"order": steer.ResortOrder, "all": steer.ResortAll,
	"none": steer.ResortNone, "nodata": steer.ResortNoData, "addresses": steer.ResortAddrs,
}

func (m *maker) pool(s *config.Service, p *config.Pool, use Use) steer.Pool {
	out := steer.Pool{Region: m.regions[p.Region], Weight: p.Weight, MinHealthy: p.MinHealthy, Late: p.Late}
	for i := range p.Endpoints {
		e := &p.Endpoints[i]
		se := steer.Endpoint{Weight: e.Weight, Enabled: e.Enabled, Target: e.Name}
		if e.Name == "" {
			se.Label = e.Address.String()
			se.Addrs = []steer.Addr{m.addr(s, out.Region, netip.AddrPortFrom(e.Address, instancePort(s, e)), use)}
		} else {
			se.Label = strings.TrimSuffix(e.Name, ".")
			m.name(e.Name)
			_, known := m.found[e.Name]
			se.Unresolved = !known
			for _, k := range m.found[e.Name].List() {
				a := m.addr(s, out.Region, netip.AddrPortFrom(k.IP, s.Port), use)
				a.Old = !k.Fresh
				se.Addrs = append(se.Addrs, a)
			}
		}
		out.Endpoints = append(out.Endpoints, se)
	}
	return out
}

func (m *maker) name(n string) {
	if !m.names[n] {
		m.names[n] = true
		m.out.Names = append(m.out.Names, n)
	}
}

// instancePort is the port at which an endpoint serves: what a catalog says, the lowest
// of several, else the service's; 0 if nobody says one.
func instancePort(s *config.Service, e *config.Endpoint) uint16 {
	if len(e.Ports) > 0 {
		return e.Ports[0].Number
	}
	return s.Port
}

// addr makes an address with its checks. Its port is for the monitors that follow it; one
// of these checks nothing where there is none.
func (m *maker) addr(s *config.Service, region int, at netip.AddrPort, use Use) steer.Addr {
	out := steer.Addr{IP: at.Addr()}
	for _, name := range s.Monitors {
		mon, ok := m.out.Config.Monitor(name)
		if !ok || mon.OfInstance && at.Port() == 0 {
			continue
		}
		to := netip.AddrPortFrom(at.Addr(), mon.Port)
		if mon.OfInstance {
			to = at
		}
		c := m.check(mon, region, to, s.Name, s.Name)
		if !mon.Votes {
			out.Shown = append(out.Shown, c)
			continue
		}
		out.Checks = append(out.Checks, c)
		m.out.Uses[c] = append(m.out.Uses[c], use)
	}
	return out
}

// check returns the index of the check with this key, and makes it if need be.
func (m *maker) check(mon *config.Monitor, region int, at netip.AddrPort, host, seat string) int32 {
	ip := at.Addr()
	if mon.Host != "" {
		host = mon.Host
	}
	host = strings.TrimPrefix(strings.TrimSuffix(host, "."), "*.")
	if mon.Type == config.ConsulChecks { // what a catalog says is of one service, and hands no probe its verdict
		host, seat = seat, "consul "+seat
	}
	key := checkKey(mon, at, host)
	if region < 0 {
		key = "self " + key
	}
	if i, ok := m.checks[key]; ok {
		return i
	}
	i := int32(len(m.out.Checks))
	m.checks[key] = i
	m.out.Checks = append(m.out.Checks, Check{
		Key: key, Monitor: mon, Region: region, Place: m.place(region, ip), Addr: ip, Port: at.Port(), Host: host,
		Seat: ip.String() + " " + seat, Params: Params(mon.Timing),
	})
	m.out.Uses = append(m.out.Uses, nil)
	return i
}

func (m *maker) place(region int, ip netip.Addr) int {
	if region < 0 {
		return -1
	}
	k := place{region, ip}
	if i, ok := m.places[k]; ok {
		return i
	}
	i := len(m.places)
	m.places[k] = i
	return i
}

// Params returns the thresholds of a monitor.
func Params(t config.Timing) health.Params {
	return health.Params{
		Interval: t.Interval, Timeout: t.Timeout, Confirm: t.Confirm, Stale: t.Stale,
		Fall: t.Fall, Rise: t.Rise,
	}
}
