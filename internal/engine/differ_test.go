package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// shops has n services in two regions, each with addresses of its own: those of
// service i end in 10+i.
func shops(n int) string {
	var b strings.Builder
	b.WriteString("state: {dir: DIR}\nadmin: {listen: \"off\"}\nmonitors: {sql: {type: tcp, port: 5432}}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d.example.org: {monitors: [sql], pools: [{aws/us-east-1: [192.0.2.%d]}, {gcp/europe-west1: [198.51.100.%d]}]}\n", i, 10+i, 10+i)
	}
	return b.String()
}

// grown is the file of shops with another instance of the first one.
func grown(yaml string) string {
	return strings.Replace(yaml, "[192.0.2.10]", "[192.0.2.10, 192.0.2.99]", 1)
}

// checkOf returns what a resolver holds of the only check of an address: its own
// verdict, what counts, and the check's bucket.
func (r *resolver) checkOf(ip string) (mine health.Verdict, counts health.View, in agree.Buckets) {
	_ = r.Do(func(c *Core) {
		for i := range c.Plan.Checks {
			if c.Plan.Checks[i].Addr == netip.MustParseAddr(ip) {
				mine, counts, in = c.states[i].Verdict, c.views[i], c.council.buckets[i]
			}
		}
	})
	return mine, counts, in
}

// held silences an address for a resolver, and returns for how long what it sees
// of it then did not count.
func (r *resolver) held(t *testing.T, ip string) time.Duration {
	t.Helper()
	r.set(ip, true)
	var since time.Time
	for range 600 {
		pass(100 * time.Millisecond)
		mine, counts, _ := r.checkOf(ip)
		if mine == health.Down && since.IsZero() {
			since = time.Now()
		}
		if counts.Verdict == health.Down {
			return time.Since(since)
		}
	}
	t.Fatalf("%s never counts as down", ip)
	return 0
}

// A catalog tells two resolvers of a new instance one after the other. For that
// moment neither is heard on it by the other, and both are on everything else: what
// only one of them sees is held back, what both see is agreed.
func TestAnInstanceIsKnownToOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherFleet(t, newHub(), shops(8), aws, gcp)
		one, other := all[0], all[1]
		if err := one.Apply(parse(t, grown(one.yaml))); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		_, _, strange := one.checkOf("192.0.2.99")
		for _, ip := range []string{"192.0.2.11", "192.0.2.12"} {
			if _, _, in := one.checkOf(ip); in == strange {
				t.Fatalf("%s is in the bucket of the new instance: take another one", ip)
			}
		}
		for _, r := range all {
			now, _ := r.Sharing()
			if o := now.Observers[1]; o.Alike || o.Common < 14 || o.Common >= now.Observers[0].Common && r == one {
				t.Errorf("%s: alike %v, %d checks of %d in common", r.seat.name, o.Alike, o.Common, now.Observers[0].Common)
			}
		}
		if d := one.held(t, "192.0.2.11"); d < agree.Hold || d > agree.Hold+time.Second {
			t.Errorf("held back while the other contradicts: %v", d)
		}
		if _, counts, _ := one.checkOf("192.0.2.11"); !counts.Elsewhere {
			t.Error("what the other contradicts is no doubt")
		}
		if d := one.held(t, "192.0.2.99"); d > 0 {
			t.Errorf("held back although nobody else knows the instance: %v", d)
		}
		if _, counts, _ := one.checkOf("192.0.2.99"); counts.Elsewhere {
			t.Error("what nobody contradicts is a doubt")
		}
		for _, r := range all {
			r.set("192.0.2.12", true)
		}
		pass(bound)
		for _, r := range all {
			if _, counts, _ := r.checkOf("192.0.2.12"); counts.Verdict != health.Down || counts.Elsewhere {
				t.Errorf("%s: what both see counts as %v, doubtful %v", r.seat.name, counts.Verdict, counts.Elsewhere)
			}
		}
		if err := other.Apply(parse(t, grown(other.yaml))); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		for _, r := range all {
			if now, _ := r.Sharing(); !now.Observers[1].Alike || now.Observers[1].Common != 17 {
				t.Errorf("%s: alike %v, %d checks in common once both know it", r.seat.name, now.Observers[1].Alike, now.Observers[1].Common)
			}
		}
		if _, counts, _ := one.checkOf("192.0.2.99"); !counts.Elsewhere {
			t.Error("the other, which now knows the instance and reaches it, is not heard")
		}
	})
}

// A resolver of a version that says nothing of buckets is heard, has no voice, and
// is in nobody's way: each decides at once, as if it were alone.
func TestAnOldVersionHasNoVoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shops(2), aws, gcp)
		for _, r := range all {
			r.seat.old = true
		}
		for _, r := range all { // has them say it anew
			if err := r.Apply(parse(t, edited(r.yaml))); err != nil {
				t.Fatal(err)
			}
		}
		pass(5 * time.Second)
		for _, r := range all {
			now, _ := r.Sharing()
			if o := now.Observers[1]; now.Contact != agree.Agreeing || o.Alike || o.Common != 0 {
				t.Errorf("%s: %v, alike %v, %d checks in common", r.seat.name, now.Contact, o.Alike, o.Common)
			}
		}
		if d := all[0].held(t, "192.0.2.10"); d > 0 {
			t.Errorf("held back by one without a voice: %v", d)
		}
		pass(time.Minute)
		before := h.writes
		pass(10 * time.Minute)
		if h.writes != before {
			t.Errorf("%d writes at rest", h.writes-before)
		}
	})
}

// Who is alike is told anew when it changes, and only then.
func TestBucketsAreToldWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		all := gatherFleet(t, h, shops(8), aws, gcp)
		told := func() share.Opinion { return h.said("r1") }
		first, before := told(), h.writes
		if err := all[0].Apply(parse(t, all[0].yaml+"limits: {reload_moves: 50%}\n")); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if o := told(); !slices.Equal(o.Buckets, first.Buckets) || o.Plan != first.Plan {
			t.Error("another limit is other checks")
		}
		if err := all[0].Apply(parse(t, grown(all[0].yaml))); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		o, n := told(), 0
		for b := range o.Buckets {
			n += by(o.Buckets[b] != first.Buckets[b])
		}
		if n != 1 || h.writes-before > 6 {
			t.Errorf("%d buckets differ after %d writes, want one", n, h.writes-before)
		}
	})
}
