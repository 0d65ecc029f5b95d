package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/admin"
)

const column = 20

func (t *tale) clock() string { return fmt.Sprintf("%5.1f s", time.Since(t.start).Seconds()) }

// head names the columns: what each region is to the resolver, and the share of
// the answers of the last second that named it.
func (t *tale) head() {
	var b strings.Builder
	for _, r := range t.regions {
		fmt.Fprintf(&b, "  %-*s", column, r.name)
	}
	t.say("%7s%s  TTL", "time", b.String())
}

func (t *tale) print(r row) {
	if t.is == nil {
		return
	}
	var b strings.Builder
	for i := range t.is.Pools {
		share := 0
		if r.answers > 0 {
			share = (r.by[i]*100 + r.answers/2) / r.answers
		}
		fmt.Fprintf(&b, "  %-*s%4d %%  ", column-8, state(&t.is.Pools[i]), share)
	}
	failed := ""
	if r.failed > 0 {
		failed = fmt.Sprintf("  %d FAILED", r.failed)
	}
	t.say("%s%s  %s%s", t.clock(), b.String(), r.ttl(), failed)
}

func (r *row) ttl() string {
	switch {
	case r.answers == 0:
		return "-"
	case r.min == r.max:
		return fmt.Sprintf("%d s", r.min)
	}
	return fmt.Sprintf("%d-%d s", r.min, r.max)
}

// state is what a region is, in a word.
func state(p *admin.Pool) string {
	switch e := &p.Endpoints[0]; {
	case e.Verdict == "up" && e.Confirming:
		return "confirming"
	case e.Verdict == "down" && e.Confirming:
		return "recovering"
	case e.Verdict == "up" && ramping(p):
		return "ramp"
	case e.Verdict == "up" && strings.HasPrefix(p.Standing, "held"):
		return "held"
	default:
		return e.Verdict
	}
}
