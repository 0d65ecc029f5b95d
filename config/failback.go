package config

import "time"

var failbackBlock = newBlock("failback",
	field[Failback]{"mode", func(d *decoder, v value, f *Failback) {
		if mode, ok := d.oneOf(v, "auto", "manual"); ok {
			f.Manual = mode == "manual"
		}
	}},
	field[Failback]{"after", duration(func(f *Failback) *time.Duration { return &f.After }, 0, maxHold)},
	field[Failback]{"max", duration(func(f *Failback) *time.Duration { return &f.Max }, 0, maxHold)},
	field[Failback]{"ramp", decodeRamp},
	field[Failback]{"step", duration(func(f *Failback) *time.Duration { return &f.Step }, time.Second, maxHold)},
)

func decodeFailback[T any](at func(*T) *Failback) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		f := at(into)
		seen := failbackBlock.decode(d, v, f)
		d.bounded(seen, "after", f.After, f.Max)
	}
}

// decodeRamp reads the shares by which traffic returns: rising percentages
// that end with 100.
func decodeRamp(d *decoder, v value, f *Failback) {
	var ramp []int
	last := 0
	for _, item := range d.list(v) {
		p, ok := d.parsePercent(item, 1)
		if !ok {
			continue
		}
		if p <= last {
			d.fault(item, "ramp step %d%% is not above the one before, %d%%: write rising percentages, such as [10, 25, 50, 100]", p, last)
		}
		last = p
		ramp = append(ramp, p)
	}
	if last != 100 && !d.hasFaultIn(v.node) {
		d.fault(v, "ramp does not end with 100%%, so that traffic would never return in full: end it with 100")
	}
	f.Ramp = ramp
}
