package plan

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/source"
)

// Fill returns cfg with what catalogs hold as the pools of the services that come
// from them: a pool for each region, in the service's order. What nothing is known
// of has no pools, and is refused rather than denied. The file's own services, and
// the Hash, stay as they are.
func Fill(cfg *config.Config, cat source.Catalog) *config.Config {
	pools := map[string][]config.Pool{}
	for i := range cfg.Services {
		if s := &cfg.Services[i]; s.From != nil {
			pools[s.Name] = poolsOf(cat[s.Name], cfg)
		}
	}
	if len(pools) == 0 {
		return cfg
	}
	return cfg.Discover(pools)
}

// poolsOf groups instances by region. What was kept by another configuration is
// held against this one.
func poolsOf(e source.Entry, cfg *config.Config) (out []config.Pool) {
	at := map[string]int{}
	scale, targets := scaleOf(e), cfg.Targets()
	for i := range e.Instances {
		in := &e.Instances[i]
		if _, forbidden := targets.Forbidden(in.Addr); forbidden || !config.ValidRegion(in.Region) || !targets.Within(in.Region, in.Addr) {
			continue
		}
		p, ok := at[in.Region]
		if !ok {
			p = len(out)
			at[in.Region] = p
			out = append(out, config.Pool{Region: in.Region, Late: slices.Contains(e.Late, in.Region)})
		}
		out[p].Endpoints = append(out[p].Endpoints, config.Endpoint{
			Address: in.Addr, Weight: max(1, in.Weight/scale), Enabled: true, Ports: portsOf(in),
		})
	}
	return out
}

// portsOf returns the ports of an instance. Weights are those of SRV, of 16 bits.
func portsOf(in *source.Instance) (out []config.Port) {
	for _, p := range in.Ports {
		out = append(out, config.Port{Number: p.Number, Weight: uint16(min(max(p.Weight, 1), math.MaxUint16))}) // #nosec G115 -- bounded
	}
	return out
}

// maxWeights bounds the sum of a service's weights, of which answers are drawn in
// 32 bits with some bits to spare.
const maxWeights = 1 << 25

// scaleOf returns by what weights are divided so that their sum stays in bounds.
func scaleOf(e source.Entry) int {
	sum := 0
	for i := range e.Instances {
		sum += max(1, e.Instances[i].Weight)
	}
	return 1 + sum/maxWeights
}

// Told reports whether the check's results come from a catalog, by Opinions, and
// not from probes.
func (c *Check) Told() bool { return c.Monitor.Type == config.ConsulChecks }

// Opinion is the result of a check that is told.
type Opinion struct {
	Check  int32
	Result health.Result
}

// Opinions returns what catalogs say at an instant of the checks that are told: of
// those of one service, or of all if service is "". They are to be observed when
// the catalog or the plan changes, and again every Interval of their monitor,
// because a change may have been held back. A check without an opinion gets no
// result, and becomes Unknown when it is stale.
//
//	status             catalog   with monitors of our own     alone
//	passing, warning   current   success                      success
//	critical           current   failure                      failure
//	gone               current   success: they decide         failure
//	passing, warning   away      success: they decide         none
//	critical           away      none                         none
//	gone               away      success: they decide         none
//
// Success says nothing where the worst of several opinions counts. That of a
// catalog which is away is not "unknown" there: it would keep the service from
// being evidence of how its regions are. What was critical before is not forgotten,
// since it may be somebody's maintenance.
func (p *Plan) Opinions(cat source.Catalog, service string, now time.Time) (out []Opinion) {
	for i := range p.Checks {
		c := &p.Checks[i]
		if !c.Told() || service != "" && c.Host != service {
			continue
		}
		e := cat[c.Host]
		if in, ok := e.Find(c.Addr); ok {
			if r, ok := opinion(in, e.Current(in.Datacenter, now), p.alone(c.Host)); ok {
				r.At = now
				out = append(out, Opinion{int32(i), r})
			}
		}
	}
	return out
}

// alone reports whether no other monitor of a service votes.
func (p *Plan) alone(service string) bool {
	s, ok := p.Config.Service(service)
	if !ok {
		return true
	}
	for _, name := range s.Monitors {
		if m, ok := p.Config.Monitor(name); ok && m.Votes && m.Type != config.ConsulChecks {
			return false
		}
	}
	return true
}

// opinion is the table above Opinions. A failure is one of an answer: our own
// probes tell better whether nothing answers at all.
func opinion(in *source.Instance, current, alone bool) (health.Result, bool) {
	switch {
	case in.Status == source.Critical && current:
		return health.Result{Cause: health.CauseStatus, Detail: detail("critical", in)}, true
	case in.Status == source.Critical, alone && !current:
		return health.Result{}, false
	case !in.Listed() && alone:
		return health.Result{Cause: health.CauseStatus, Detail: in.Detail}, true
	case !current:
		return health.Result{Detail: "the catalog is away"}, true
	case in.Status == source.Passing:
		return health.Result{}, true
	}
	return health.Result{Detail: detail(string(in.Status), in)}, true
}

// maxDetail is that of health.Result.
const maxDetail = 120

func detail(word string, in *source.Instance) string {
	if in.Detail == "" {
		return word
	}
	s := word + ": " + in.Detail
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail-4], "") + " ..."
	}
	return s
}
