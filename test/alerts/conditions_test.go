//go:build linux

package alerts

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// condition is what an alert is for, and how it is brought about.
type condition struct {
	alert  string
	labels string   // of the alert
	says   string   // its summary; VALUE stands for the value of a series:
	value  string   //
	also   []string // other alerts that fire for the same reason
	after  int      // minutes for which it has been so when the alert must fire; 8 if 0
	others int      // resolvers beside a: b, c
	consul bool     // they share, and have a service from a catalog
	guard  bool     // a name of others is guarded, and known
	grows  []string // series that grow by a second each second from then on
	edit   func(string) string
	cause  func(r *resolver)
	seen   func(r *resolver, s scrape) bool
}

func is(series, value string) func(*resolver, scrape) bool {
	return func(_ *resolver, s scrape) bool { return s[prefix+series] == value }
}

// before is for how many minutes all was well.
const before = 10

var conditions = slices.Concat(alone, together, others)

// alone is what can befall a resolver by itself, or beside others.
var alone = []condition{
	{
		alert: "DetourServicePanic", labels: "job: detour, service: shop.example.org",
		says:  "Service shop.example.org is answered from what is down, or not at all.",
		cause: func(r *resolver) { r.w.stop(r.w.web, aws, gcp, azure) },
		seen:  is(`service_panic{service="shop.example.org"}`, "1"),
	},
	{
		alert: "DetourDrainedButOnlyHealthy", labels: "job: detour, service: shop.example.org",
		says: "All that is healthy of service shop.example.org is drained. Lifting the drain would help its clients now.",
		also: []string{"DetourServicePanic"},
		cause: func(r *resolver) {
			r.do("drain", "aws/us-east-1", "--reason", "test")
			r.w.stop(r.w.web, gcp, azure)
		},
		seen: is(`drained_but_only_healthy{service="shop.example.org"}`, "1"),
	},
	{
		alert: "DetourResolverDown", labels: "job: detour, instance: a",
		says: "Resolver a cannot be scraped.", others: 1,
		cause: func(r *resolver) { r.stop() },
		seen:  func(_ *resolver, s scrape) bool { return s == nil },
	},
	{
		alert: "DetourRegionDown", labels: "job: detour, region: aws/us-east-1",
		says: "Region aws/us-east-1 is judged down. Its traffic has moved where another region is healthy.",
		cause: func(r *resolver) {
			r.w.stop(r.w.web, aws)
			r.w.stop(r.w.sql, aws)
		},
		seen: is(`region_verdict{region="aws/us-east-1"}`, "1"),
	},
	{
		alert: "DetourNoBackup", labels: "job: detour, service: shop.example.org",
		says:  "Service shop.example.org has no region left to move to. It still works: the next failure is an outage.",
		cause: func(r *resolver) { r.w.stop(r.w.web, gcp, azure) },
		seen:  is(`service_backups{service="shop.example.org"}`, "0"),
	},
	{
		alert: "DetourRefusedMoves", labels: "job: detour, why: frozen",
		also: []string{"DetourServicePanic"}, // it is frozen at what is dead
		says: "A move was wanted and not made (frozen). Traffic stays where it is.",
		cause: func(r *resolver) {
			r.do("freeze", "--reason", "test")
			r.w.stop(r.w.web, aws)
		},
		seen: is(`refused_moves_total{why="frozen"}`, "1"),
	},
	{
		alert: "DetourOverrideExpiring", labels: "job: detour, kind: drain, target: gcp/europe-west1",
		says:  "The drain of gcp/europe-west1 ends within half an hour. Then its traffic comes back by itself.",
		cause: func(r *resolver) { r.do("drain", "gcp/europe-west1", "--reason", "test", "--for", "20m") },
		seen: func(_ *resolver, s scrape) bool {
			return s[prefix+`override_remaining_seconds{kind="drain",target="gcp/europe-west1"}`] != ""
		},
	},
	{
		alert: "DetourFreezeOn", labels: "job: detour", after: 32,
		says:  "A freeze has been in force for half an hour. What fails now is not left.",
		cause: func(r *resolver) { r.do("freeze", "--reason", "test") },
		seen:  is("frozen", "1"),
	},
	{
		alert: "DetourBrakeOn", labels: "job: detour, instance: a", after: 2, // it is never on for much longer
		says:  "Resolver a saw most of the world fail at once, and doubts itself for up to a minute.",
		also:  []string{"DetourSelfChecksFailing"},
		cause: func(r *resolver) { r.w.stop(r.w.near, "127.0.9.1", "127.0.9.2") },
		seen:  is("brake", "1"),
	},
	{
		alert: "DetourSelfChecksFailing", labels: "job: detour, instance: a",
		says:  "Resolver a cannot reach 1 of the addresses that it proves its own network with.",
		cause: func(r *resolver) { r.w.stop(r.w.near, "127.0.9.1") },
		seen:  is("self_checks_failing", "1"),
	},
	{
		alert: "DetourDecisionSkew", labels: "job: detour", others: 1, after: 3,
		says:  "The resolvers of detour give 2 different sets of answers. Clients of one may be sent where clients of another are not.",
		cause: func(r *resolver) { r.do("drain", "aws/us-east-1", "--reason", "test") },
		seen: func(r *resolver, s scrape) bool {
			return s[prefix+"decision_hash"] != r.w.all[1].scrape()[prefix+"decision_hash"]
		},
	},
	{
		alert: "DetourConfigRejected", labels: "job: detour, instance: a",
		says:  "Resolver a refused the last change of failover.yaml. The one before is in use.",
		cause: func(r *resolver) { r.write("failover.yaml", "services: nonsense\n") },
		seen:  is("config_last_reload_success", "0"),
	},
	{
		alert: "DetourStateNotWritten", labels: "job: detour, instance: a",
		says: "Resolver a cannot write its state. A restart would forget overrides and what moved.",
		cause: func(r *resolver) { // the disk is full, as far as this process can tell
			if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{}, nil); err != nil {
				r.w.t.Fatal(err)
			}
		},
		seen: is("state_kept", "0"),
	},
	{
		// One probe at a time, and each takes most of the time between two.
		alert: "DetourProbesOverdue", labels: "job: detour, instance: a",
		says:  "Resolver a cannot keep up: VALUE checks are late. It will see failures late, too.",
		value: "probes_overdue",
		edit: func(s string) string {
			s = strings.Replace(s, "path: /}", "path: /, interval: 1s, timeout: 1s}", 1)
			return strings.Replace(s, "probes: {", "probes: {max_in_flight: 1, ", 1)
		},
		cause: func(r *resolver) {
			for _, ip := range []string{aws, gcp, azure} {
				r.w.stop(r.w.web, ip)
				r.w.serve(ip, r.w.web, 750*time.Millisecond)
			}
		},
		seen: func(_ *resolver, s scrape) bool { return s[prefix+"probes_overdue"] > "0" },
	},
}

// TestEveryAlertFires breaks something for each alert and has Prometheus's rule
// tester decide what fires.
func TestEveryAlertFires(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a resolver for each alert")
	}
	for _, c := range conditions {
		t.Run(c.alert, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

func (c *condition) test(t *testing.T) {
	w := newWorld(t)
	if c.consul {
		w.meet()
	}
	if c.guard {
		w.serve("127.0.9.3", w.near, 0)
		w.upstream("127.0.9.3")
	}
	for i := range 1 + c.others {
		w.resolver(string(rune('a'+i)), c.edit)
	}
	w.agree()
	a := w.all[0]
	if c.guard {
		a.learn()
	}
	var s story
	s.add(before, w.scrapes())
	c.cause(a)
	a.until("what "+c.alert+" is for", func(now scrape) bool { return c.seen(a, now) })
	now := w.scrapes()
	s.grow(40, now, c.grows...)
	if c.after == 0 {
		c.after = 8
	}
	s.assert(
		t,
		expectation{minute: before - 1},
		expectation{
			minute: before + c.after, fires: append(c.also, c.alert), alert: c.alert, labels: c.labels,
			says: strings.Replace(c.says, "VALUE", now["a"][prefix+c.value], 1),
		},
	)
}

// TestEveryAlertHasACondition: an alert that nothing was seen to fire may never.
func TestEveryAlertHasACondition(t *testing.T) {
	caused := map[string]bool{}
	for _, c := range conditions {
		caused[c.alert] = true
	}
	for _, r := range alertsOf(t, rules) {
		if !caused[r.Alert] {
			t.Errorf("nothing causes %s", r.Alert)
		}
		delete(caused, r.Alert)
	}
	for name := range caused {
		t.Errorf("there is no alert %s", name)
	}
}

// TestNothingFiresWhenAllIsWell, and when all resolvers are gone somebody says so.
func TestNothingFiresWhenAllIsWell(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two resolvers")
	}
	t.Parallel()
	w := newWorld(t)
	w.resolver("a", nil)
	w.resolver("b", nil)
	var s story
	s.add(60, w.scrapes())
	s.add(20, nil)
	s.assert(
		t,
		expectation{minute: 2},
		expectation{minute: 59},
		expectation{
			minute: 70, fires: []string{"DetourResolverDown"}, alert: "DetourResolverDown", labels: "alertname: DetourResolverDown",
			says: "No resolver can be scraped: nobody is watched.",
		},
	)
}
