package health

import (
	"testing"
	"time"
)

func tallies(pairs ...int) (out []Tally) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Tally{pairs[i], pairs[i+1]})
	}
	return out
}

func TestSuspicion(t *testing.T) {
	for name, c := range map[string]struct {
		c    Census
		want bool
	}{
		"all is well":                         {Census{Regions: tallies(10, 0, 10, 0)}, false},
		"one region of two dark":              {Census{Regions: tallies(10, 10, 10, 0)}, false},
		"two of two":                          {Census{Regions: tallies(10, 6, 10, 6)}, true},
		"two of two, half of each":            {Census{Regions: tallies(10, 5, 10, 5)}, false},
		"two of three":                        {Census{Regions: tallies(10, 10, 10, 10, 10, 0)}, true},
		"two of four":                         {Census{Regions: tallies(9, 9, 9, 9, 9, 0, 9, 0)}, false},
		"all of a small world":                {Census{Regions: tallies(1, 1, 1, 1)}, false},
		"four endpoints are enough":           {Census{Regions: tallies(2, 2, 2, 2)}, true},
		"empty regions do not count":          {Census{Regions: tallies(5, 5, 5, 5, 0, 0, 0, 0)}, true},
		"one region only":                     {Census{Regions: tallies(50, 50)}, false},
		"two of two, self-checks pass":        {Census{Regions: tallies(10, 10, 10, 10), SelfPassing: 2}, false},
		"most self-checks pass":               {Census{Regions: tallies(10, 10, 10, 10), SelfPassing: 2, SelfFailing: 1}, false},
		"self-checks tie: the regions decide": {Census{Regions: tallies(10, 10, 10, 10), SelfPassing: 1, SelfFailing: 1}, true},
		"most self-checks fail":               {Census{Regions: tallies(10, 0), SelfPassing: 1, SelfFailing: 2}, true},
		"a single self-check is no majority":  {Census{Regions: tallies(10, 0), SelfFailing: 1}, false},
		"others see it too":                   {Census{Regions: tallies(10, 10, 10, 10), OthersReport: true}, false},
	} {
		if got := c.c.Suspicious(); got != c.want {
			t.Errorf("%s: suspicious %v, want %v", name, got, c.want)
		}
	}
}

func TestBrakeEndsAndRests(t *testing.T) {
	bad, good := Census{Regions: tallies(4, 4, 4, 4)}, Census{Regions: tallies(4, 0, 4, 0)}
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	const limit = time.Minute
	var b Brake
	for _, c := range []struct {
		second int
		census Census
		on     bool
	}{
		{0, good, false},
		{1, bad, true},
		{60, bad, true},
		{61, bad, false},   // its time is over
		{62, bad, false},   // and it rests
		{660, bad, false},  // for ten minutes
		{661, bad, true},   // then it may doubt again
		{662, good, false}, // and ends with the doubt
	} {
		b.Update(c.census, limit, at(c.second))
		if b.On != c.on {
			t.Fatalf("second %d: on %v, want %v", c.second, b.On, c.on)
		}
	}
	if b.Fired != 2 || !b.Rests.Equal(at(661)) {
		t.Errorf("fired %d times, want 2; rests until %v", b.Fired, b.Rests)
	}
	b.Update(bad, limit, at(663)) // nothing was held back: it may doubt again at once
	b.Held = true
	b.Update(good, limit, at(664))
	if b.Update(bad, limit, at(665)); b.On || !b.Rests.Equal(at(664+600)) {
		t.Errorf("on %v without a rest after it held something back", b.On)
	}
	var off Brake
	if off.Update(bad, 0, t0); off.On {
		t.Error("a brake of no length went on")
	}
}
