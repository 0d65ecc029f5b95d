package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// PostProbe is the body of POST /v1/probe.
type PostProbe struct {
	Target string `json:"target"` // region, service, service/endpoint, or self
}

// Probes is the reply: the checks of a target, run once. It changes no verdict.
type Probes struct {
	Target string  `json:"target"`
	Probes []Probe `json:"probes"`
	Left   int     `json:"left,omitempty"` // checks of the target that were not run: they are too many
}

// OK reports whether all probes passed.
func (p *Probes) OK() bool {
	return !slices.ContainsFunc(p.Probes, func(x Probe) bool { return x.Cause != "ok" })
}

// Probe is one check, run once.
type Probe struct {
	Service string  `json:"service,omitempty"`
	Region  string  `json:"region"`
	Address string  `json:"address"`
	Monitor string  `json:"monitor"`
	Type    string  `json:"type"`
	Port    uint16  `json:"port,omitempty"`
	Cause   string  `json:"cause"` // "ok", or why it failed
	Detail  string  `json:"detail,omitempty"`
	Steps   []Step  `json:"steps"`
	Took    float64 `json:"took_ms"`
}

// Step is a part of a probe that was done.
type Step struct {
	Name string  `json:"name"`  // dial, handshake, request, first_byte, body or reply
	At   float64 `json:"at_ms"` // since the probe began
}

// probeTimeout bounds a round of probes.
const probeTimeout = 20 * time.Second

func (s *Server) postProbe(r *http.Request) (any, error) {
	var in PostProbe
	if err := read(r, &in); err != nil {
		return nil, err
	}
	target := in.Target
	if target != "self" {
		var err error
		if target, err = s.target(in.Target); err != nil {
			return nil, err
		}
	}
	select {
	case s.probing <- struct{}{}:
		defer func() { <-s.probing }()
	default:
		return nil, problem(http.StatusTooManyRequests, "somebody else is probing right now: try again in a moment")
	}
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	list, left, err := s.eng.Probe(ctx, target)
	out, err := probes(target, list, left, err)
	s.audit(r, err, "probe", "target", people(target), "checks", len(list))
	return out, err
}

// ProbeIn runs the checks of a target of a configuration that nothing runs, from
// this process.
func ProbeIn(ctx context.Context, cfg *config.Config, given string) (*Probes, error) {
	target := given
	if target != "self" {
		var ok bool
		if target, ok = cfg.Target(given); !ok {
			return nil, unknown("region, service or service/endpoint", given, targets(cfg, given))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	list, left, err := engine.ProbeIn(ctx, cfg, target)
	return probes(target, list, left, err)
}

func probes(target string, list []engine.Probed, left int, err error) (*Probes, error) {
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	out := &Probes{Target: people(target), Probes: []Probe{}, Left: left}
	for i := range list {
		out.Probes = append(out.Probes, wireProbe(&list[i]))
	}
	return out, nil
}

func wireProbe(p *engine.Probed) Probe {
	k := p.Check
	out := Probe{
		Service: p.Service, Region: p.Region, Address: k.Addr.String(), Monitor: k.Monitor.Name, Type: string(k.Monitor.Type),
		Port: k.Port, Cause: p.Result.Cause.String(), Detail: p.Result.Detail, Steps: []Step{}, Took: millis(p.Took),
	}
	for _, s := range p.Result.Steps {
		out.Steps = append(out.Steps, Step{s.Name, millis(s.At)})
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
