package main

import (
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
)

// perRegion is how many services the observers check, each in three regions: a
// region is a third of 10,002 checks.
const perRegion = 3334

// variants is how many opinions on a failure there are. The same one comes again
// only when all others were told.
const variants = 23

// mostListed is how much of a region may be Down that is still listed one by one:
// only from two thirds on it is summed up.
const mostListed = 2200

// opinions are what engines make of what they see.
type opinions struct {
	up     []share.Opinion // one: all is Up
	failed []share.Opinion // a region, but for a few checks, and a few others
	listed []share.Opinion // so much of a region that it is hardly not summed up
}

// opine has the engine's core say what it holds of 10,002 checks.
func (b *bench) opine() (*opinions, error) {
	path, err := b.services("agree", perRegion, "monitors: {web: {type: tcp, port: 9, interval: 1h}}", "aws/us-east-1", "gcp/europe-west1", "azure/westeurope")
	if err != nil {
		return nil, err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	p := plan.Make(cfg, nil)
	out := &opinions{up: []share.Opinion{opinion(p, func(int, int) bool { return false })}}
	for v := range variants {
		out.failed = append(out.failed, opinion(p, func(region, n int) bool {
			if region == 0 {
				return n%100 != v
			}
			return n%500 == v
		}))
		out.listed = append(out.listed, opinion(p, func(region, n int) bool { return region == 0 && n >= v && n < v+mostListed }))
	}
	return out, nil
}

// opinion is what a core says when a function says which checks are Down, by their
// region and their place in it. The others are Up.
func opinion(p *plan.Plan, down func(region, n int) bool) share.Opinion {
	now, seen := time.Now(), make([]int, len(p.Config.Regions))
	checks := make(map[string]health.Restored, len(p.Checks))
	for i := range p.Checks {
		k := &p.Checks[i]
		r := health.Restored{Verdict: health.Up, WasUp: true, Lasted: time.Minute}
		if down(k.Region, seen[k.Region]) {
			r.Verdict, r.Cause = health.Down, health.CauseTimeout
		}
		seen[k.Region]++
		checks[k.Key] = r
	}
	c := engine.NewCore(p, checks, nil, now)
	c.Join("", 0, now)
	return c.Opinion(now)
}
