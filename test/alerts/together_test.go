//go:build linux

package alerts

import (
	"strings"
	"testing"
)

// silence is how old what was heard of a store that answers never is.
const silence = 20

// together is what can befall resolvers that share, or have a catalog.
var together = []condition{
	{
		alert: "DetourObserversLost", labels: "job: detour", others: 1, consul: true, after: 3,
		says:  "Resolvers of detour do not hear all the others (2 of them). Verdicts are agreed by fewer, or by nobody.",
		cause: func(r *resolver) { r.w.consul.Pause() },
		grows: []string{"share_age_seconds", "catalog_age_seconds"},
		seen: func(r *resolver, _ scrape) bool {
			return r.w.every(func(s scrape) bool { return older(s, "share_age_seconds", silence) })
		},
	},
	{ // one of three leaves
		alert: "DetourObserversLost", labels: "job: detour", others: 2, consul: true,
		says:  "Resolvers of detour do not hear all the others (2 of them). Verdicts are agreed by fewer, or by nobody.",
		also:  []string{"DetourResolverDown"},
		cause: func(r *resolver) { r.w.all[1].stop() },
		seen: func(r *resolver, _ scrape) bool {
			return r.w.every(func(s scrape) bool { return hears(s, "heard", 2) })
		},
	},
	{ // one of two leaves: the other one is alone, for as long as that lasts
		alert: "DetourObserversLost", labels: "job: detour", others: 1, consul: true, after: 30,
		says:  "Resolvers of detour do not hear all the others (1 of them). Verdicts are agreed by fewer, or by nobody.",
		also:  []string{"DetourResolverDown"},
		cause: func(r *resolver) { r.w.all[1].stop() },
		seen:  func(_ *resolver, s scrape) bool { return hears(s, "heard", 1) },
	},
	{
		alert: "DetourOtherChecks", labels: "job: detour", others: 1, consul: true, after: 17,
		says: "Resolvers of detour have different checks. Where they differ they have no voice with each other.",
		cause: func(r *resolver) {
			r.write("failover.yaml", strings.Replace(r.w.failover(r.name, r.dir), "path: /}", "path: /new}", 1))
		},
		seen: func(r *resolver, s scrape) bool {
			return s[prefix+`checks{verdict="up"}`] == r.w.checks() && hears(s, "other_checks", 1)
		},
	},
	{
		alert: "DetourPathsDisagree", labels: "job: detour, instance: a", others: 2, consul: true, after: 12,
		says:  "Resolver a sees 1 checks otherwise than is agreed. Its own path to them may be bad.",
		cause: func(r *resolver) { r.w.cutOff.Store(r) },
		seen: func(_ *resolver, s scrape) bool { // it is doubtful for a, and only for a
			return s[prefix+"opinions_disagree"] == "1" &&
				s[prefix+`endpoint_standing{endpoint="127.0.2.1",region="gcp/europe-west1",service="shop.example.org"}`] == "3"
		},
	},
	{
		alert: "DetourCatalogAway", labels: "job: detour", consul: true, others: 1, after: 18,
		says:  "A catalog has not answered well for a quarter of an hour. Its services keep the instances that were known.",
		also:  []string{"DetourObserversLost"},
		cause: func(r *resolver) { r.w.consul.Stop() },
		grows: []string{"share_age_seconds", "catalog_age_seconds"},
		seen: func(r *resolver, _ scrape) bool {
			return r.w.every(func(s scrape) bool {
				return older(s, "share_age_seconds", silence) && older(s, "catalog_age_seconds", silence)
			})
		},
	},
}

// TestNeverHeard: a resolver that starts when nobody can be heard says so, also if
// its catalog never answered.
func TestNeverHeard(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a resolver")
	}
	t.Parallel()
	w := newWorld(t)
	w.meet()
	w.consul.Stop()
	w.mute = true
	w.resolver("a", nil)
	now := w.scrapes()
	for _, series := range []string{"share_age_seconds", "catalog_age_seconds"} {
		if v := now["a"][prefix+series]; v != "+Inf" {
			t.Errorf("%s is %s", series, v)
		}
	}
	var s story
	s.add(40, now)
	s.assert(t, expectation{minute: 10, fires: []string{"DetourObserversLost", "DetourCatalogAway", "DetourServicePanic"}})
}

// TestNothingFiresWhenAllAgree: resolvers that share, and whose catalog answers,
// alert nobody.
func TestNothingFiresWhenAllAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two resolvers")
	}
	t.Parallel()
	w := newWorld(t)
	w.meet()
	w.resolver("a", nil)
	w.resolver("b", nil)
	w.agree()
	var s story
	s.add(60, w.scrapes())
	s.assert(t, expectation{minute: 2}, expectation{minute: 20}, expectation{minute: 59})
}
