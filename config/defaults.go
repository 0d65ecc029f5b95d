package config

import (
	"net/netip"
	"time"
)

// defaults is what services and monitors start from: the built-in values, then
// the file's `defaults:`.
type defaults struct {
	Monitor    Timing // Timeout and Stale: 0 = follow from the interval
	TTL        TTL
	HoldDown   HoldDown
	Failback   Failback
	LastResort LastResort
	MinHealthy quota
}

// builtin returns the built-in values. This is their one place.
func builtin() defaults {
	return defaults{
		Monitor:    Timing{Interval: 5 * time.Second, Attempts: 3, Fall: 3, Rise: 3, Confirm: time.Second},
		TTL:        TTL{Settled: 30 * time.Second, Changing: 5 * time.Second},
		HoldDown:   HoldDown{Step: 30 * time.Second, Max: 15 * time.Minute, Window: 30 * time.Minute},
		Failback:   Failback{After: 5 * time.Minute, Max: 30 * time.Minute, Ramp: []int{10, 25, 50, 100}, Step: time.Minute},
		LastResort: LastResort{Mode: "order"},
		MinHealthy: quota{percent: 50},
	}
}

// What timeout and stale are unless said.
const (
	builtinTimeout = 2 * time.Second  // at most the interval
	builtinStale   = 30 * time.Second // at least staleIntervals x interval + timeout
	staleIntervals = 5
)

// newConfig returns a Config with the built-in values of what no service has
// of its own.
func newConfig() *Config {
	return &Config{
		Mode:      Act,
		Limits:    Limits{RegionsOut: 50, Brake: time.Minute, ReloadMoves: 20, MaxAnswers: 8},
		Metrics:   Metrics{Services: 1000},
		Recursion: Networks{Private: true},
		State:     State{Dir: DefaultStateDir()},
		Self:      Self{Name: defaultObserver()},
		Share:     Share{Cluster: "main"},
	}
}

// The lower and upper bounds of durations. Below: probing faster finds nothing
// sooner and looks like an attack. Above: a typing error, such as 30h for 30s.
const (
	minProbe = 100 * time.Millisecond
	maxProbe = time.Hour
	maxTTL   = 24 * time.Hour
	maxHold  = 24 * time.Hour
	maxRuns  = 20 // for fall and rise
	maxSends = 5  // for attempts
)

var defaultsBlock = newBlock("defaults",
	field[defaults]{"monitor", func(d *decoder, v value, into *defaults) {
		seen := timingBlock.decode(d, v, &into.Monitor)
		d.settleTiming(seen, into.Monitor)
		if seen.has("interval") && !seen.has("stale") {
			into.Monitor.Stale = 0
		}
	}},
	field[defaults]{"ttl", decodeTTL(func(s *defaults) *TTL { return &s.TTL })},
	field[defaults]{"hold_down", decodeHoldDown(func(s *defaults) *HoldDown { return &s.HoldDown })},
	field[defaults]{"failback", decodeFailback(func(s *defaults) *Failback { return &s.Failback })},
	field[defaults]{"last_resort", decodeLastResort(func(s *defaults) *LastResort { return &s.LastResort })},
	field[defaults]{"min_healthy", decodeQuota(func(s *defaults) *quota { return &s.MinHealthy })},
)

var timingFields = []field[Timing]{
	{"interval", duration(func(t *Timing) *time.Duration { return &t.Interval }, minProbe, maxProbe)},
	{"timeout", duration(func(t *Timing) *time.Duration { return &t.Timeout }, minProbe/10, maxProbe)},
	{"attempts", integer(func(t *Timing) *int { return &t.Attempts }, 1, maxSends)},
	{"fall", integer(func(t *Timing) *int { return &t.Fall }, 1, maxRuns)},
	{"rise", integer(func(t *Timing) *int { return &t.Rise }, 1, maxRuns)},
	{"confirm", duration(func(t *Timing) *time.Duration { return &t.Confirm }, minProbe, maxProbe)},
	{"stale", duration(func(t *Timing) *time.Duration { return &t.Stale }, time.Second, maxHold)},
}

var timingBlock = newBlock("timing", timingFields...)

// settleTiming returns t with what was not given filled in from what was, and
// faults what contradicts. Seen are the keys of the block that t was read from.
//
//	timeout  min(2 s, interval)
//	confirm  at most the interval
//	stale    max(5 x interval + timeout, 30 s), also when only a block further
//	         out gives it and this one gives an interval of its own
func (d *decoder) settleTiming(seen given, t Timing) Timing {
	d.notLonger(seen, "timeout", t.Timeout, "interval", t.Interval)
	d.notLonger(seen, "confirm", t.Confirm, "interval", t.Interval)
	if t.Timeout == 0 {
		t.Timeout = builtinTimeout
	}
	t.Timeout, t.Confirm = min(t.Timeout, t.Interval), min(t.Confirm, t.Interval)
	least := t.Interval + t.Timeout
	switch {
	case !seen.has("stale") && (seen.has("interval") || t.Stale == 0):
		t.Stale = max(staleIntervals*t.Interval+t.Timeout, builtinStale)
	case !seen.has("stale"):
		t.Stale = max(t.Stale, least)
	case t.Stale < least && d.sound(seen, "stale", "interval", "timeout"):
		d.fault(seen["stale"], "stale %s is shorter than interval + timeout, so that every check would become unknown between two probes: make it at least %s",
			short(t.Stale), short(least))
	}
	return t
}

// notLonger faults the duration a, under key, if it was given and is longer
// than b, under limit.
func (d *decoder) notLonger(seen given, key string, a time.Duration, limit string, b time.Duration) {
	if seen.has(key) && a > b && d.sound(seen, key, limit) {
		d.fault(seen[key], "%s %s is longer than %s %s: make it at most %s", key, short(a), limit, short(b), short(b))
	}
}

var ttlBlock = newBlock("ttl",
	field[TTL]{"settled", seconds(func(t *TTL) *time.Duration { return &t.Settled }, time.Second, maxTTL)},
	field[TTL]{"changing", seconds(func(t *TTL) *time.Duration { return &t.Changing }, time.Second, maxTTL)},
)

func decodeTTL[T any](at func(*T) *TTL) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		t := at(into)
		seen := ttlBlock.decode(d, v, t)
		if !seen.has("changing") {
			t.Changing = min(t.Changing, t.Settled)
		}
		d.notLonger(seen, "changing", t.Changing, "settled", t.Settled)
	}
}

var holdDownBlock = newBlock("hold_down",
	field[HoldDown]{"step", duration(func(h *HoldDown) *time.Duration { return &h.Step }, 0, maxHold)},
	field[HoldDown]{"max", duration(func(h *HoldDown) *time.Duration { return &h.Max }, 0, maxHold)},
	field[HoldDown]{"window", duration(func(h *HoldDown) *time.Duration { return &h.Window }, time.Second, maxHold)},
)

func decodeHoldDown[T any](at func(*T) *HoldDown) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		h := at(into)
		seen := holdDownBlock.decode(d, v, h)
		d.bounded(seen, "step", h.Step, h.Max)
	}
}

// bounded faults a first step that its own maximum makes pointless, at
// whichever of the two was given.
func (d *decoder) bounded(seen given, key string, step, most time.Duration) {
	if step <= most || !d.sound(seen, key, "max") {
		return
	}
	if seen.has(key) {
		d.fault(seen[key], "%s %s is longer than max %s: make it at most %s, or raise max", key, short(step), short(most), short(most))
	} else if seen.has("max") {
		d.fault(seen["max"], "max %s is shorter than %s %s: make it at least %s, or lower %s", short(most), key, short(step), short(step), key)
	}
}

var lastResortBlock = newBlock("last_resort",
	field[LastResort]{"mode", enum(func(l *LastResort) *string { return &l.Mode }, "order", "all", "none", "nodata", "addresses")},
	field[LastResort]{"addresses", decodeLastAddresses},
)

func decodeLastAddresses(d *decoder, v value, l *LastResort) {
	seen := map[netip.Addr]bool{}
	for _, item := range d.list(v) {
		a, ok := d.parseAddr(item)
		switch {
		case !ok:
		case seen[a]:
			d.fault(item, "addresses has %s twice: remove one", a)
		case a.IsUnspecified() || a.IsMulticast():
			d.fault(item, "%s is not the address of a machine: clients could not use it, give another", a)
		default:
			seen[a] = true
			l.Addresses = append(l.Addresses, a)
		}
	}
}

func decodeLastResort[T any](at func(*T) *LastResort) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		var l LastResort
		seen := lastResortBlock.decode(d, v, &l)
		if seen.has("addresses") && !seen.has("mode") {
			l.Mode = "addresses"
		}
		if d.sound(seen, "mode", "addresses") && !d.hasFaultIn(seen["addresses"].node) {
			d.checkLastResort(seen, v, l)
		}
		if l.Mode != "" {
			*at(into) = l
		}
	}
}

func (d *decoder) checkLastResort(seen given, v value, l LastResort) {
	switch {
	case l.Mode == "addresses" && !seen.has("addresses"):
		d.fault(v, "last_resort mode addresses has no addresses: add addresses: [...]")
	case seen.has("addresses") && len(l.Addresses) == 0:
		d.fault(seen["addresses"], "addresses of last_resort is empty: name at least one, or use mode: nodata")
	case l.Mode != "addresses" && seen.has("addresses"):
		d.fault(seen["addresses"], "last_resort mode %s does not use addresses: remove them, or use mode: addresses", l.Mode)
	}
}
