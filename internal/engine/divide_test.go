package engine

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/monitor"
)

// Nine observers divide their checks: three probe each, one in each zone, and nobody
// writes anything more then. What others see counts for who does not look.
func TestNineDivideTheirChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherNine(t, h)
		probe, speak, zones := probing(all)
		if n := 3 * wideServices; len(probe) != n || total(probe) != 3*n || total(speak) != 3*n {
			t.Errorf("%d checks, probed %d times, spoken of %d times", len(probe), total(probe), total(speak))
		}
		for ip, in := range zones {
			if len(in) != 3 {
				t.Errorf("%s is probed in zones %v", ip, in)
			}
		}
		before := h.writes
		pass(10 * time.Minute)
		if h.writes != before {
			t.Errorf("%d writes at rest", h.writes-before)
		}
		for _, r := range all {
			now, _ := r.Sharing()
			left := 0
			for s := range int32(wideServices) {
				for _, x := range r.Elsewhere(s) {
					if left++; len(x.By) != 3 || slices.Contains(x.By, r.seat.name) {
						t.Errorf("%s says that %s is probed by %v", r.seat.name, x.Endpoint, x.By)
					}
				}
			}
			_ = r.Do(func(c *Core) { // what comes late of a check that was let go
				i := slices.Index(c.council.duty.part, away)
				r.weigh(monitor.Report{ID: c.council.ids[i], Start: time.Now(), Result: health.Result{At: time.Now()}})
				if c.states[i].Verdict != health.Unknown {
					t.Error("a result of a check that was let go counts")
				}
			})
			if n := now.Observers[0].Assigned; left+n != 3*wideServices {
				t.Errorf("%s probes %d checks, and leaves %d", r.seat.name, n, left)
			}
			events := r.Journal().Find(journal.Query{})
			if !slices.ContainsFunc(events, func(e journal.Event) bool { return strings.HasPrefix(e.Text, "checks are divided: ") }) {
				t.Errorf("%s does not tell that checks are divided", r.seat.name)
			}
			if s := r.Summary(); s.Verdicts["up"] != 3*wideServices {
				t.Errorf("%s: %v", r.seat.name, s.Verdicts)
			}
			for _, o := range now.Observers {
				if n := 3 * wideServices; !o.Alike || o.Common != n || o.Assigned < n/6 || o.Assigned > n*3/5 {
					t.Errorf("%s sees that %s probes %d checks of %d, alike %v", r.seat.name, o.Name, o.Assigned, o.Common, o.Alike)
				}
			}
		}
	})
}

// A region fails. All nine leave it within the time that one alone would need, and
// two seconds for the others' word, though none of them probes most of it.
func TestWhatOthersProbeFailsHereToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherNine(t, newHub())
		silence(all, "192.0.2.", true)
		began := time.Now()
		for slices.ContainsFunc(all, func(r *resolver) bool { return r.uses(aws) > 0 }) {
			if pass(100 * time.Millisecond); time.Since(began) > time.Minute {
				t.Fatalf("%d services stay", all[0].uses(aws))
			}
		}
		if took := time.Since(began); took > crowdBound+3*time.Second {
			t.Errorf("left after %v", took)
		}
		pass(10 * time.Second)
		for _, r := range all {
			if h := r.Load().Hash(); h != all[0].Load().Hash() {
				t.Errorf("%s decides otherwise", r.seat.name)
			}
		}
		silence(all, "192.0.2.", false)
		pass(20 * time.Minute)
		for _, r := range all {
			if n := r.uses(aws); n != wideServices {
				t.Errorf("%s: %d services are back", r.seat.name, n)
			}
		}
	})
}

// An observer dies. Within 45 s every check is probed by three again, who may speak.
func TestADeathIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherNine(t, newHub())
		dead := all[4]
		dead.cutOff()
		rest := slices.Delete(slices.Clone(all), 4, 5)
		if probe, _, _ := probing(rest); fewest(probe) > 2 {
			t.Fatal("it probed nothing")
		}
		pass(45 * time.Second)
		probe, speak, zones := probing(rest)
		if fewest(probe) < 3 || fewest(speak) < 3 {
			t.Errorf("after 45 s a check is probed by %d, of whom %d speak", fewest(probe), fewest(speak))
		}
		for ip, in := range zones {
			if len(in) != 3 {
				t.Errorf("%s is probed in zones %v", ip, in)
			}
		}
		if n := total(probe); n > 3*3*wideServices {
			t.Errorf("what nobody had to take up was: %d", n)
		}
	})
}

// The store dies, and with it a region. At once everybody looks for itself, and
// leaves it at most ten seconds after it would have, had it been alone.
func TestTheStoreDiesWhileChecksAreDivided(t *testing.T) {
	for _, phase := range []time.Duration{0, 3500 * time.Millisecond} { // of the last read: the second one is the worst
		for _, before := range []time.Duration{0, 2 * time.Second, 20 * time.Second} {
			synctest.Test(t, func(t *testing.T) { storeDies(t, phase, before) })
		}
	}
}

func storeDies(t *testing.T, phase, before time.Duration) {
	h := newHub()
	all := gatherNine(t, h)
	for _, r := range all {
		r.askedFor(0, 1, 2)
	}
	pass(time.Minute + phase)
	h.change(func() { h.frozen = true })
	pass(before)
	silence(all, "192.0.2.", true)
	asked, rest := time.Duration(0), time.Duration(0)
	began := time.Now()
	for slices.ContainsFunc(all, func(r *resolver) bool { return r.uses(aws) > 0 }) {
		for _, r := range all {
			if slices.ContainsFunc([]int32{0, 1, 2}, func(s int32) bool { return slices.Contains(r.Load().Used(s), aws) }) {
				asked = time.Since(began)
			}
		}
		rest = time.Since(began)
		if pass(100 * time.Millisecond); time.Since(began) > time.Minute {
			t.Fatalf("%d services stay", all[0].uses(aws))
		}
	}
	t.Logf("%v after a change, store dead for %v: what is asked for is left after %v, all after %v", phase, before, asked, rest)
	if rest > crowdBound+10*time.Second {
		t.Error("too late")
	}
	pass(10 * time.Second)
	if probe, _, _ := probing(all); fewest(probe) != 9 {
		t.Errorf("not everybody probes everything: %d do", fewest(probe))
	}
	h.change(func() { h.frozen = false })
	pass(2 * time.Minute)
	if probe, speak, _ := probing(all); fewest(probe) < 3 || total(probe) > 9*3*wideServices*2/3 || fewest(speak) < 3 {
		t.Errorf("the store is back: probed by %d at least, %d in all", fewest(probe), total(probe))
	}
	for _, r := range all {
		if n := r.uses(aws); n > 0 {
			t.Errorf("%s goes back to what is dead: %d services", r.seat.name, n)
		}
	}
}

// Whoever comes and goes, no verdict and no decision changes while nothing fails.
func TestComingAndGoingMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherNine(t, h)
		gens := make([]uint64, len(all))
		for i, r := range all {
			gens[i] = r.Load().Hash()
		}
		calm := func(what string, d time.Duration, all ...*resolver) {
			t.Helper()
			for range d / time.Second {
				pass(time.Second)
				probe, _, _ := probing(all)
				if fewest(probe) < 2 {
					t.Fatalf("%s: a check is probed by %d", what, fewest(probe))
				}
				for i, r := range all {
					if r.Load().Hash() != gens[i] || r.Summary().Verdicts["up"] != 3*wideServices {
						t.Fatalf("%s: %s moved: %v", what, r.seat.name, r.Summary().Verdicts)
					}
				}
			}
		}
		gone := all[0]
		gone.Close()
		calm("one left", 2*time.Minute, all[1:]...)
		all[0] = join(t, h, gone.seat.name, aws, t.TempDir(), wide(wideServices), gone.world)
		all[0].askedFor()
		all[0].divides()
		calm("one came", 2*time.Minute, all[1:]...)
		for _, r := range all[6:] {
			r.Close()
		}
		calm("a zone left", 2*time.Minute, all[:6]...)
		all[5].Close()
		calm("five are left", 2*time.Minute, all[:5]...)
		if probe, _, _ := probing(all[:5]); fewest(probe) != 5 {
			t.Errorf("five probe a check %d times", fewest(probe))
		}
	})
}

// What is asked for where nobody looked is answered at once by what is agreed, and
// looked at from then on, without a word to the others; and let go in the end.
func TestWhatIsAskedForIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherNine(t, h)
		r, service := all[0], int32(-1)
		_ = r.Do(func(c *Core) {
			for s := range wideServices {
				if !c.probed(int32(3*s)) && !c.probed(int32(3*s+1)) && !c.probed(int32(3*s+2)) {
					service = int32(s)
				}
			}
		})
		if service < 0 {
			t.Fatal("no service of which it probes nothing")
		}
		others := slices.DeleteFunc(slices.Clone(all), func(o *resolver) bool { return o == r })
		silence(all, "192.0.2.", true)
		pass(time.Minute)
		if r.uses(aws) > 0 {
			t.Fatal("not left")
		}
		before, writes := probed(others), h.writes
		r.askedFor(service)
		pass(2 * time.Second)
		_ = r.Do(func(c *Core) {
			if got := [3]bool{c.probed(3 * service), c.probed(3*service + 1), c.probed(3*service + 2)}; got != [3]bool{false, true, true} && got != [3]bool{true, true, true} {
				t.Errorf("of pools dead, in use and next in line it probes %v", got)
			}
			for _, i := range []int32{3*service + 1, 3*service + 2} {
				if c.council.duty.blind(i) || c.views[i].Verdict != health.Up || c.council.duty.tells(int(i)) {
					t.Errorf("check %d: blind %v, %v, told %v", i, c.council.duty.blind(i), c.views[i].Verdict, c.council.duty.tells(int(i)))
				}
			}
		})
		r.askedFor()
		pass(9 * time.Minute)
		_ = r.Do(func(c *Core) {
			if !c.probed(3*service + 1) {
				t.Error("let go after nine minutes")
			}
		})
		pass(3 * time.Minute)
		_ = r.Do(func(c *Core) {
			if c.probed(3*service + 1) {
				t.Error("not let go after twelve minutes")
			}
		})
		if n := probed(others); n != before || h.writes != writes {
			t.Errorf("the others probe %d instead of %d, %d writes", n, before, h.writes-writes)
		}
	})
}

// An instance that one of nine knows sooner is probed by whom knows it, and its bucket
// by all until all know it; nothing else moves.
func TestAnInstanceIsKnownToOneOfNine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherNine(t, newHub())
		grow := func(yaml string) string { return strings.Replace(yaml, "[192.0.2.1]", "[192.0.2.1, 192.0.2.99]", 1) }
		for i, r := range all {
			before := r.probes()
			if err := r.Apply(parse(t, grow(r.yaml))); err != nil {
				t.Fatal(err)
			}
			if n := r.probes(); n > before+10 {
				t.Errorf("it probed %d checks, and %d after an edit", before, n)
			}
			if i == 0 {
				pass(20 * time.Second)
				probe, _, _ := probing(all)
				_, _, strange := r.checkOf("192.0.2.99")
				same := 0
				for ip := range probe {
					if _, _, in := r.checkOf(ip); in == strange {
						same++
					}
				}
				if probe["192.0.2.99"] != 1 || total(probe) > 3*len(probe)+6*same {
					t.Errorf("known to one: %d probe it, in all %d times %d checks, %d in its bucket", probe["192.0.2.99"], total(probe), len(probe), same)
				}
			}
		}
		pass(2 * time.Minute)
		probe, speak, _ := probing(all)
		if probe["192.0.2.99"] != 3 || fewest(speak) != 3 || total(probe) != 3*(3*wideServices+1) {
			t.Errorf("known to all: %d probe it, %d in all; a check is spoken of by %d", probe["192.0.2.99"], total(probe), fewest(speak))
		}
	})
}

// Five observers, or checks that cost little, divide nothing: all is as if there
// were no such thing.
func TestFewDivideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, zones := range [][]string{nine, nine[:5]} {
			h := newHub()
			all := gatherFleet(t, h, wide(wideServices), zones...)
			for _, r := range all {
				if r.askedFor(); len(zones) == agree.Few {
					r.divides()
				}
			}
			pass(3 * time.Minute)
			for _, r := range all {
				_ = r.Do(func(c *Core) {
					if d := c.council.duty; !d.whole() || d.told != nil {
						t.Errorf("%d observers divide", len(all))
					}
				})
			}
			for _, o := range h.opinions {
				if o.Assigned != nil {
					t.Error("and say so")
				}
			}
			for _, r := range all {
				r.Close()
			}
		}
	})
}
