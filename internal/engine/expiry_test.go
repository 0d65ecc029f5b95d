package engine

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/steer"
)

// share is how many of a hundred clients a resolver sends to the first pool of its
// first service.
func (r *resolver) share() (n int) {
	s := r.Load()
	for i := range 1000 {
		client := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		n += by(s.Decide(steer.Query{Client: client}).Pool == 0)
	}
	return n / 10
}

// about reports whether a share of clients is that of a step of the ramp.
func about(n, want int) bool { return max(n-want, want-n) <= 5 }

// drained puts a drain of a quarter of an hour on one of several resolvers, and
// returns when it ends.
func drained(t *testing.T, all []*resolver) (end time.Time) {
	t.Helper()
	o := drain(aws)
	o.Until = time.Now().Add(15 * time.Minute)
	if err := all[0].PutOverride(o, "test"); err != nil {
		t.Fatal(err)
	}
	if took := left(t, aws, all...); took > 3*time.Second {
		t.Errorf("in force everywhere after %v", took)
	}
	return o.Until
}

// over reports whether the store holds no drain that anybody would obey.
func (h *hub) over(target string) (over bool) {
	h.change(func() { over = h.records[share.Override+"/"+target].Deleted })
	return over
}

// A drain ends by its time: all resolvers return together, by failback and ramp,
// those that were away or asleep meanwhile as well.
func TestASharedDrainEnds(t *testing.T) {
	for _, absent := range []string{"nobody", "a member", "the one that was asked", "the store", "a process"} {
		t.Run(absent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				all := gatherFleet(t, h, shop("DIR"), aws, gcp, "azure/westeurope")
				end := drained(t, all)
				pass(time.Until(end) - 8*time.Minute)
				switch absent {
				case "a member":
					all[2].cutOff()
				case "the one that was asked":
					all[0].cutOff()
				case "the store":
					h.change(func() { h.frozen = true })
				case "a process":
					all[2].Close()
					pass(5 * time.Minute)
					all[2].start(t, h)
					defer all[2].Close()
				}
				returnTogether(t, all, end)
				h.change(func() { h.frozen, all[0].seat.cut, all[2].seat.cut = false, false, false })
				pass(2 * time.Minute)
				for _, r := range all {
					if o, _ := r.Hands(); len(o) > 0 || r.used() != aws {
						t.Errorf("%s: %v, uses %s after all are back", r.seat.name, o, r.used())
					}
				}
				if !h.over(aws) {
					t.Error("the store holds the drain still")
				}
				writes := h.writes
				pass(10 * time.Minute)
				if h.writes != writes {
					t.Errorf("%d writes once all is over", h.writes-writes)
				}
			})
		})
	}
}

// returnTogether follows resolvers from the end of a drain to the end of the ramp:
// two seconds after each step they decide alike.
func returnTogether(t *testing.T, all []*resolver, end time.Time) {
	t.Helper()
	pass(time.Until(end))
	for _, step := range []struct {
		after time.Duration
		share int
	}{
		{0, 0},
		{4*time.Minute + 57*time.Second, 0},
		{5 * time.Minute, 10},
		{6 * time.Minute, 25},
		{7 * time.Minute, 50},
		{8 * time.Minute, 100},
		{10 * time.Minute, 100},
	} {
		pass(time.Until(end.Add(step.after + 2*time.Second)))
		for _, r := range all {
			if n := r.share(); !about(n, step.share) {
				t.Errorf("%v after the end %s sends %d %% to the region, want %d", step.after, r.seat.name, n, step.share)
			}
			if r.Load().Hash() != all[0].Load().Hash() {
				t.Errorf("%v after the end %s decides otherwise", step.after, r.seat.name)
			}
		}
	}
}

// A resolver that is started again in the middle of the ramp goes on with the others.
func TestAStartInTheRampOfADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		end := drained(t, all)
		pass(time.Until(end) - time.Minute)
		all[1].Close()
		for _, step := range []struct {
			after time.Duration
			share int
		}{{2 * time.Minute, 0}, {6*time.Minute + 30*time.Second, 25}} {
			pass(time.Until(end.Add(step.after)))
			all[1].start(t, h)
			pass(10 * time.Second)
			for _, r := range all {
				if n := r.share(); !about(n, step.share) {
					t.Errorf("%v after the end %s sends %d %% to the region, want %d", step.after, r.seat.name, n, step.share)
				}
			}
			all[1].Close()
		}
	})
}

// A resolver that comes late, with an empty disk, neither begins to obey a drain
// that is over nor obeys one for longer than those that were there.
func TestADrainEndsForWhoComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		end := drained(t, all)
		pass(time.Until(end) - time.Minute)
		late := join(t, h, "r3", gcp, t.TempDir(), shop("DIR"), &world{})
		pass(time.Until(end) - time.Second)
		if o, _ := late.Hands(); len(o) != 1 || late.used() != gcp {
			t.Errorf("before its end: %v, uses %s", o, late.used())
		}
		pass(healAfter + 15*time.Second)
		if o, _ := late.Hands(); len(o) != 0 {
			t.Errorf("after its end: %v", o)
		}
		same(t, late.story(journal.Override), []string{"override aws/us-east-1 resolver r1", "override aws/us-east-1 resolver r1"})
		pass(10 * time.Minute)
		later := join(t, h, "r4", gcp, t.TempDir(), shop("DIR"), &world{})
		for range 60 {
			pass(time.Second)
			if later.used() != aws {
				t.Fatalf("a resolver that starts after its end uses %s", later.used())
			}
		}
		same(t, later.story(journal.Override), nil)
		if late.used() != aws {
			t.Errorf("who came late uses %s", late.used())
		}
	})
}

// What operators did elsewhere outlives a restart, while nobody else is there too:
// a drain that was taken over, and one's own that was lifted.
func TestWhatWasTakenOverIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		restart := func(r *resolver) {
			r.Close()
			r.start(t, h)
			pass(10 * time.Second)
		}
		drained(t, all)
		f := steer.Freeze{Target: "shop.example.org.", Until: time.Now().Add(time.Hour), Owner: "jo", Reason: "test"}
		if err := all[0].PutFreeze(f, "test"); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		h.change(func() { h.frozen = true })
		restart(all[1])
		if o, f := all[1].Hands(); len(o) != 1 || len(f) != 1 {
			t.Errorf("after a restart: %v, %v, want the drain and the freeze of the other", o, f)
		}
		h.change(func() { h.frozen = false })
		pass(30 * time.Second)
		if err := all[1].DeleteOverride(aws, "test"); err != nil {
			t.Fatal(err)
		}
		if err := all[1].DeleteFreeze(f.Target, "test"); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Second)
		restart(all[0])
		if o, f := all[0].Hands(); len(o) != 0 || len(f) != 0 {
			t.Errorf("after a restart: %v, %v, which were lifted elsewhere", o, f)
		}
		all[0].Close()
		all[1].Close()
	})
}

// A resolver whose token may not write overrides leaves it to others to say that
// one is over, and hardly tries.
func TestAnEndThatMayNotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shop("DIR"), aws, gcp)
		end := drained(t, all)
		h.change(func() { all[1].seat.denied = true })
		pass(time.Until(end) - time.Minute)
		all[0].cutOff() // who may write
		pass(time.Hour)
		if n := all[1].seat.refused; h.over(aws) || n == 0 || n > 7 {
			t.Errorf("over: %v, refused %d times in an hour", h.over(aws), all[1].seat.refused)
		}
		for _, ev := range all[1].Journal().Find(journal.Query{}) {
			if strings.Contains(ev.Text, "token") {
				t.Errorf("told: %s", ev.Text)
			}
		}
		h.change(func() { all[0].seat.cut = false })
		pass(time.Minute)
		if !h.over(aws) {
			t.Error("who may write it did not say that it is over")
		}
	})
}

// What another resolver decided is in the log, once.
func TestWhatIsTakenOverIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		one := gatherFleet(t, h, shop("DIR"), aws)[0]
		var log bytes.Buffer
		other := &resolver{world: &world{}, seat: &seat{h: h, name: "r2"}, log: slog.New(slog.NewTextHandler(&log, nil))}
		other.yaml = "self: {name: r2, zone: " + gcp + "}\n" + shop(t.TempDir())
		other.start(t, h)
		pass(20 * time.Second)
		if err := one.PutOverride(drain(aws), "uid 7"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if err := one.DeleteOverride(aws, "uid 7"); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if err := other.PutOverride(drain(aws), "uid 8"); err != nil { // whom the API logs
			t.Fatal(err)
		}
		other.Close()
		var got []string
		for line := range strings.Lines(log.String()) {
			if _, text, ok := strings.Cut(line, "hands: "); ok {
				got = append(got, strings.TrimSpace(text))
			}
		}
		want := []string{
			`drain of aws/us-east-1 by jo for 1h0m0s: test" target=aws/us-east-1 by="resolver r1"`,
			`override on aws/us-east-1 lifted" target=aws/us-east-1 by="resolver r1"`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log has\n%s", strings.Join(got, "\n"))
		}
	})
}
