package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/plan"
)

// wide has n services in three regions: s0 is at 192.0.2.1, 198.51.100.1 and 203.0.113.1.
func wide(n int) string {
	var b strings.Builder
	b.WriteString("state: {dir: DIR}\nadmin: {listen: \"off\"}\nmonitors: {sql: {type: tcp, port: 5432}}\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  s%d.example.org: {monitors: [sql], pools: [{aws/us-east-1: [192.0.2.%d]}, {gcp/europe-west1: [198.51.100.%d]}, {azure/westeurope: [203.0.113.%d]}]}\n", i, i+1, i+1, i+1)
	}
	return b.String()
}

// nine are observers in three zones.
var nine = []string{aws, aws, aws, gcp, gcp, gcp, "onprem/fra1", "onprem/fra1", "onprem/fra1"}

const wideServices = 24

// crowdBound is bound where more than a crowd of checks of a region fail at once.
const crowdBound = 11400 * time.Millisecond

// gatherNine starts nine observers, none of which is asked for anything, and lets
// them divide their checks.
func gatherNine(t *testing.T, h *hub) []*resolver {
	t.Helper()
	all := gatherFleet(t, h, wide(wideServices), nine...)
	for _, r := range all {
		r.askedFor()
		r.divides()
	}
	pass(90 * time.Second)
	return all
}

// divides has a resolver divide however few checks.
func (r *resolver) divides() { _ = r.Do(func(c *Core) { c.council.duty.easy = 0 }) }

// askedFor has a resolver answer for some services, once a second, and for no others.
func (r *resolver) askedFor(services ...int32) {
	n := uint64(0)
	r.SetAnswers(func(p *plan.Plan, s int32) []uint64 {
		counts := make([]uint64, len(p.Steer.Services[s].Pools)+1)
		if slices.Contains(services, s) {
			n++
			counts[0] = n
		}
		return counts
	})
}

// probing counts who probes each check, and who of them may speak, by address; and
// in which zones.
func probing(all []*resolver) (probe, speak map[string]int, zones map[string]map[string]bool) {
	probe, speak, zones = map[string]int{}, map[string]int{}, map[string]map[string]bool{}
	for _, r := range all {
		_ = r.Do(func(c *Core) {
			for i := range c.Plan.Checks {
				ip := c.Plan.Checks[i].Addr.String()
				probe[ip] += by(c.probed(int32(i)))
				speak[ip] += by(c.council.duty.part[i] == own && c.council.duty.tells(i))
				if zones[ip] == nil {
					zones[ip] = map[string]bool{}
				}
				if c.probed(int32(i)) {
					zones[ip][c.council.zone] = true
				}
			}
		})
	}
	return probe, speak, zones
}

func fewest(m map[string]int) int {
	n := 1 << 30
	for _, x := range m {
		n = min(n, x)
	}
	return n
}

func total(m map[string]int) (n int) {
	for _, x := range m {
		n += x
	}
	return n
}

func silence(all []*resolver, prefix string, silent bool) {
	for _, r := range all {
		for i := range wideServices {
			r.set(fmt.Sprint(prefix, i+1), silent)
		}
	}
}

// uses counts the services that use a region.
func (r *resolver) uses(region string) (n int) {
	p := r.Load()
	for i := range p.Plan.Steer.Services {
		n += by(slices.Contains(p.Used(int32(i)), region))
	}
	return n
}

// probed is how often checks are probed, in all.
func probed(all []*resolver) int {
	probe, _, _ := probing(all)
	return total(probe)
}

// probes is how many checks a resolver probes.
func (r *resolver) probes() (n int) {
	_ = r.Do(func(c *Core) { n = sum(c.council.duty.probes) })
	return n
}
