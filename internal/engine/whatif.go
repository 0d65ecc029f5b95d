package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// What would be: the same core, on a copy. Nothing here changes anything.

// discovered is what names resolve to and catalogs hold. Neither is changed in
// place.
type discovered struct {
	names   source.Found
	catalog source.Catalog
}

// fork returns what is published and a core that may be changed. The building on
// it belongs off the loop: answers and probes go on.
func (e *Engine) fork() (now *Published, try *Core, found discovered, err error) {
	err = e.Do(func(c *Core) {
		now, found = e.snap.Load(), discovered{e.found, e.catalogs.known}
		try = c.clone()
	})
	return now, try, found, err
}

// WhatIf returns what would be published now if o were among the overrides, and
// what is.
func (e *Engine) WhatIf(o steer.Override) (now, then *Published, err error) {
	now, try, _, err := e.fork()
	if err != nil {
		return nil, nil, err
	}
	var overrides []steer.Override
	for _, x := range try.overrides[len(try.Plan.Config.Overrides):] {
		if x.Target == o.Target && x.From == "" {
			o = o.After(&x, time.Now())
			continue
		}
		overrides = append(overrides, x)
	}
	try.SetHands(append(overrides, o), try.freezes)
	return now, &Published{try.Publish(time.Now()), try.Plan}, nil
}

// Simulate returns what would be published once all in the given regions were
// Down, and what is. brake says that so much at once would first look like a
// fault of our own.
func (e *Engine) Simulate(regions []string) (now, then *Published, brake bool, err error) {
	now, try, _, err := e.fork()
	if err != nil {
		return nil, nil, false, err
	}
	brake = try.fell(regions, time.Now())
	return now, &Published{try.Publish(time.Now()), try.Plan}, brake, nil
}

// SimulateIn is Simulate for a configuration that nothing runs: before, every
// check of it passes.
func SimulateIn(cfg *config.Config, regions []string, now time.Time) (before, after *Published, brake bool) {
	found := source.Found{}
	for _, name := range plan.Make(cfg, found).Names { // what it resolves to does not matter, that it does
		found[name] = source.Addresses{}.Learn([]netip.Addr{placeholder}, 0, now)
	}
	c := NewCore(plan.Make(cfg, found), nil, nil, now)
	for i := range c.views {
		c.views[i] = health.View{Verdict: health.Up, Since: now.Add(-time.Hour), WasUp: true}
	}
	before = &Published{c.Publish(now), c.Plan}
	brake = c.fell(regions, now)
	return before, &Published{c.Publish(now), c.Plan}, brake
}

// fell makes every check in some regions Down, as if they were silent. It reports
// whether the brake would go on first.
func (c *Core) fell(regions []string, now time.Time) (brake bool) {
	census := health.Census{Regions: make([]health.Tally, len(c.Plan.Config.Regions))}
	for i := range c.views {
		k := &c.Plan.Checks[i]
		if k.Region < 0 {
			census.SelfPassing++
			continue
		}
		census.Regions[k.Region].Passing++
		if !slices.Contains(regions, c.Plan.Config.Regions[k.Region].Name) {
			continue
		}
		census.Regions[k.Region].Failed++
		v := &c.views[i]
		if v.Verdict != health.Down || !v.Cause.Dark() {
			*v = health.View{Verdict: health.Down, Since: now, Cause: health.CauseTimeout, WasUp: v.WasUp, Ejected: v.Ejected}
		}
	}
	c.all = true
	return c.Plan.Config.Limits.Brake > 0 && census.Suspicious()
}

// Comparison is what a configuration would change.
type Comparison struct {
	Now, Then *Published
	Refused   error // why it would not be taken, nil if it would
}

// Against compares a configuration with the one in use, on the health of now. It
// reads none of the files that the configuration names. It goes no further when ctx
// ends, and returns its error.
func (e *Engine) Against(ctx context.Context, cfg *config.Config) (Comparison, error) {
	if ctx.Err() != nil {
		return Comparison{}, ctx.Err()
	}
	now, try, found, err := e.fork()
	if err != nil {
		return Comparison{}, err
	}
	p := plan.Make(plan.Fill(cfg, found.catalog), found.names)
	unforced, at := try.clone(), time.Now()
	out := Comparison{Now: now}
	if ctx.Err() == nil {
		out.Refused = unforced.Replan(p, at, false)
	}
	if ctx.Err() != nil {
		return Comparison{}, ctx.Err()
	}
	if err := try.Replan(p, at, true); err != nil {
		return Comparison{}, err
	}
	out.Then = &Published{try.Snapshot(), p}
	return out, nil
}
