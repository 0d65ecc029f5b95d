package engine

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/prober"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// placeholder is an address for documentation (RFC 5737), which nothing is sent
// to.
var placeholder = netip.AddrFrom4([4]byte{192, 0, 2, 0})

// Bounds of what an operator has probed by hand.
const (
	probeAtOnce = 16
	maxProbed   = 200
	probeLimit  = 10 * time.Second // of one; who waits for it does not wait for a monitor's hour
)

// Probed is a check that was run by hand. What it found changes no verdict.
type Probed struct {
	Check   *plan.Check
	Region  string
	Service string // without last dot, "" for a canary or a self-check
	Result  health.Result
	Took    time.Duration
}

// Probe runs the checks of a target now, from here: a region, a service or
// service/endpoint in their canonical form, or "self". A probe that does not end
// before ctx does is not begun: cut short, it would say nothing of its target. left
// is how many were not run.
func (e *Engine) Probe(ctx context.Context, target string) (out []Probed, left int, err error) {
	return probeIn(ctx, e.Load().Plan, target, e.dial)
}

// ProbeIn is Engine.Probe for a configuration that nothing runs. Endpoints that
// are names have no address then, and are left out.
func ProbeIn(ctx context.Context, cfg *config.Config, target string) (out []Probed, left int, err error) {
	return probeIn(ctx, plan.Make(cfg, source.Found{}), target, nil)
}

func probeIn(ctx context.Context, p *plan.Plan, target string, dial Dial) (out []Probed, left int, err error) {
	out = slices.DeleteFunc(checksOf(p, target), func(x Probed) bool { return x.Check.Told() }) // there is nothing to send
	all := len(out)
	out = out[:min(all, maxProbed)]
	e := &Engine{dial: dial}
	probers := map[*config.Monitor]prober.Prober{}
	for i := range out {
		m := out[i].Check.Monitor
		if probers[m] != nil {
			continue
		}
		if probers[m], err = e.newProber(p.Config, shortened(m)); err != nil {
			return nil, 0, err
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, probeAtOnce)
	for i := range out {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i].run(ctx, probers[out[i].Check.Monitor])
		})
	}
	wg.Wait()
	out = slices.DeleteFunc(out, func(x Probed) bool { return x.Result.At.IsZero() })
	return out, all - len(out), ctx.Err()
}

// shortened returns a monitor whose probe ends while somebody waits for it.
func shortened(m *config.Monitor) *config.Monitor {
	short := *m
	short.Timing.Timeout = min(short.Timing.Timeout, probeLimit)
	return &short
}

// run runs the check, unless it could not end in time.
func (x *Probed) run(ctx context.Context, p prober.Prober) {
	k, began := x.Check, time.Now()
	if end, bounded := ctx.Deadline(); ctx.Err() != nil || bounded && end.Sub(began) < min(k.Monitor.Timing.Timeout, probeLimit) {
		return
	}
	x.Result = p.Probe(ctx, prober.Target{Addr: k.Addr, Port: k.Port, Host: k.Host})
	x.Took = time.Since(began)
}

// checksOf returns the checks of a target, each once for each service.
func checksOf(p *plan.Plan, target string) (out []Probed) {
	if target == "self" {
		for _, i := range p.Self {
			out = append(out, Probed{Check: &p.Checks[i], Region: "self"})
		}
		return out
	}
	for r := range p.Steer.Regions {
		if p.Steer.Regions[r].Name == target {
			for _, i := range p.Steer.Regions[r].Canaries {
				out = append(out, Probed{Check: &p.Checks[i], Region: target})
			}
		}
	}
	for i := range p.Steer.Services {
		out = append(out, checksOfService(p, &p.Steer.Services[i], target)...)
	}
	return out
}

func checksOfService(p *plan.Plan, s *steer.Service, target string) (out []Probed) {
	for i := range s.Pools {
		region := p.Steer.Regions[s.Pools[i].Region].Name
		for e := range s.Pools[i].Endpoints {
			end := &s.Pools[i].Endpoints[e]
			if target != region && target != s.Name && target != s.Name+"/"+end.Label {
				continue
			}
			for _, c := range checksOfEndpoint(end) {
				out = append(out, Probed{Check: &p.Checks[c], Region: region, Service: people(s.Name)})
			}
		}
	}
	return out
}

func checksOfEndpoint(e *steer.Endpoint) (out []int32) {
	for i := range e.Addrs {
		out = slices.Concat(out, e.Addrs[i].Checks, e.Addrs[i].Shown)
	}
	return out
}
