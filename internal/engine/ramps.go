package engine

import (
	"maps"
	"strconv"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// rampsEvery bounds how often steps of ramps are told while one follows the other:
// the services of a region seldom come back in the same instant.
const rampsEvery = 5 * time.Second

// ramp is a service's traffic on its way back to a region.
type ramp struct{ service, region string }

// step is how services that are on their way back to a region went on.
type step struct {
	region   string
	from, to int // percent of the clients
}

// stepped are the services that went on so, and when the first of them did.
type stepped struct {
	services []string
	at       time.Time
}

// ramps knows how far traffic is on its way back, so that each step is told once,
// and those of many services to one region together.
type ramps struct {
	now   map[ramp]int // percent of the clients
	fresh map[step]*stepped
	order []step
	last  time.Time // that steps were told
}

func newRamps() ramps { return ramps{now: map[ramp]int{}, fresh: map[step]*stepped{}} }

// set notes how many of the clients a service answers from a region to which its
// traffic returns, 0 if it does not. That it has all is a move.
func (r *ramps) set(k ramp, share int, all bool, at time.Time) {
	was := r.now[k]
	switch {
	case was == share:
		return
	case share == 0:
		delete(r.now, k)
	default:
		r.now[k] = share
	}
	if all {
		return
	}
	s := step{k.region, was, share}
	if r.fresh[s] == nil {
		r.order = append(r.order, s)
		r.fresh[s] = &stepped{at: at}
	}
	r.fresh[s].services = append(r.fresh[s].services, k.service)
}

// keepOnly forgets services that are no more.
func (r *ramps) keepOnly(services map[string]bool) {
	maps.DeleteFunc(r.now, func(k ramp, _ int) bool { return !services[k.service] })
}

// noteRamps notes how far the services that were built are on their way back.
func (e *Engine) noteRamps(s *steer.Snapshot) {
	for _, i := range s.Built {
		st, svc := s.State(i), &s.Plan.Services[i]
		for p := range st.Pools {
			share, bit := 0, uint64(1)<<p
			if st.Ramps&bit != 0 {
				share = st.Pools[p].Share
			}
			e.ramps.set(ramp{people(svc.Name), s.Plan.Regions[svc.Pools[p].Region].Name}, share, st.From&bit != 0, s.At)
		}
	}
}

// tellRamps tells the steps that were noted, at once or with others that follow.
func (e *Engine) tellRamps(now time.Time) {
	r := &e.ramps
	if len(r.order) == 0 || now.Sub(r.last) < rampsEvery {
		return
	}
	for _, s := range r.order {
		e.tellRamp(s, r.fresh[s])
	}
	r.last, r.order = now, nil
	clear(r.fresh)
}

func (e *Engine) tellRamp(s step, of *stepped) {
	names := of.services
	text := "traffic returns to " + s.region + ": " + strconv.Itoa(s.to) + " % of the clients"
	if s.to == 0 {
		text = "traffic no longer returns to " + s.region + ", which had " + strconv.Itoa(s.from) + " % of the clients"
	}
	e.log.Info("ramp: "+text, "at", of.at.UTC().Format(time.RFC3339), "region", s.region, "from", s.from, "to", s.to, "count", len(names), "which", some(names))
	e.journal.Add(journal.Event{
		At: of.at, Kind: journal.Ramp, Text: text + " of " + ofServices(names), Region: s.region, Services: names, Count: len(names),
		From: strconv.Itoa(s.from), To: strconv.Itoa(s.to),
	})
}

// ofServices names services, as far as a line can.
func ofServices(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return many(len(names), "service", "services") + " (" + some(names) + ")"
}
