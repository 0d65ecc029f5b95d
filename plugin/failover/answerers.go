package failover

import (
	"slices"
	"strings"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/forward"
	"github.com/miekg/dns"
)

// answerer is a plugin below us that may answer for names.
type answerer struct {
	name  string       // with the upstreams that it asks, if it is `forward`
	zones plugin.Zones // for which it does
}

// answerersIn returns the plugins of a block that questions for other names come to, in the
// order in which they are asked.
func answerersIn(block *dnsserver.Config) (out []answerer) {
	at := slices.Index(dnsserver.Directives, pluginName)
	for _, name := range dnsserver.Directives[at+1:] {
		if h := block.Handler(name); h != nil && (name == "cache" || name == "guard" || !slices.Contains(passing, name)) {
			out = append(out, answererOf(name, h))
		}
	}
	return out
}

func answererOf(name string, h plugin.Handler) answerer {
	a := answerer{name: name, zones: plugin.Zones{"."}}
	if zones, ok := zonesOf(h); ok {
		a.zones = zones
	}
	f, ok := h.(*forward.Forward)
	if !ok {
		return a
	}
	var to []string
	for _, p := range f.List() {
		to = append(to, p.Addr())
	}
	slices.Sort(to) // the plugin gives them in the order of its policy, which may be by chance
	a.name += " to " + strings.Join(to, ", ")
	return a
}

// whoAnswers says, step by step, who answers for a name in lower case that is no service.
func (s *shared) whoAnswers(name string) (steps []string) {
	pub := s.load()
	if pub.Plan.Steer.Exists([]byte(name)) {
		steps = append(steps, "services lie below it, so that it is never said not to exist")
	}
	if z := s.namesOf(pub).zoneOf(name); z != nil {
		steps = append(steps, "it lies in the zone "+strings.TrimSuffix(z.Name, ".")+", which failover.yaml declares: where no plugin below has that zone, it does not exist, or has no data")
	}
	f := s.blockOf(name)
	if f == nil {
		return append(steps, "no server block with failover has it: another block answers, or nobody")
	}
	if asked := f.asked(name); len(asked) > 0 {
		return append(steps, "the server block for "+f.zone+" asks, in this order: "+strings.Join(asked, ", "))
	}
	return append(steps, "no plugin of the server block for "+f.zone+" answers for it: REFUSED")
}

// blockOf returns our part of the server block that a name comes to, nil if there is none.
func (s *shared) blockOf(name string) (best *Failover) {
	blocks := s.blocks.Load()
	if blocks == nil {
		return nil
	}
	for _, f := range *blocks {
		if dns.IsSubDomain(f.zone, name) && (best == nil || dns.CountLabel(f.zone) > dns.CountLabel(best.zone)) {
			best = f
		}
	}
	return best
}

// asked are the plugins below us that are asked for a name.
func (f *Failover) asked(name string) (out []string) {
	for _, a := range f.behind {
		if a.zones.Matches(name) != "" {
			out = append(out, a.name)
		}
	}
	return out
}
