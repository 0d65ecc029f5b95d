package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
)

// Broken is a service that fails wherever it runs while others there are well: what fails
// is the service, and no region.
type Broken struct {
	Service   string    `json:"service"`
	Regions   []string  `json:"regions"`   // all that it lies in
	Endpoints int       `json:"endpoints"` // that fail: all
	Since     time.Time `json:"since"`     // of the oldest failure
	Cause     string    `json:"cause"`     // of most of them
	Detail    string    `json:"detail,omitempty"`
}

// failed is a service of which all endpoints are Down.
type failed struct {
	Broken

	service int32
	cause   health.Cause
}

// broken lists such services. in holds the parts of each service by region.
func (p *page) broken(in []map[int]*part) (out []failed) {
	well, all := map[int]int{}, map[int]int{}
	for _, parts := range in {
		for r, part := range parts {
			all[r] += yes(part.enabled > 0)
			well[r] += yes(part.ends.Up > 0)
		}
	}
	for i, parts := range in {
		if f, ok := p.failing(int32(i), parts); ok && f.alone(parts, all, well) { // #nosec G115 -- an index of services
			out = append(out, f)
		}
	}
	return out
}

// alone reports whether most others in the regions of a service are well. Where there are
// none, only an answer tells the service from its regions.
func (f *failed) alone(parts map[int]*part, all, well map[int]int) bool {
	others, wellOthers := 0, 0
	for r := range parts {
		others, wellOthers = others+all[r]-1, wellOthers+well[r]
	}
	if others == 0 {
		return len(parts) > 1 && f.cause.Answered()
	}
	return 2*wellOthers >= others
}

// failing describes a service if all of its endpoints are Down.
func (p *page) failing(i int32, parts map[int]*part) (b failed, ok bool) {
	for _, part := range parts { // of most services the first one says that it is not
		if part.enabled == 0 || part.ends.Down < part.enabled {
			return failed{}, false
		}
	}
	b = failed{service: i, Broken: Broken{Service: people(p.plan().Services[i].Name), Regions: []string{}}}
	causes := map[health.Cause]int{}
	for _, r := range slices.Sorted(maps.Keys(parts)) {
		part := parts[r]
		b.Regions = append(b.Regions, p.plan().Regions[r].Name)
		b.Endpoints += part.ends.Down
		if causes[part.cause] += part.ends.Down; causes[part.cause] > causes[b.cause] {
			b.cause = part.cause
		}
		if b.Since.IsZero() || part.oldest.Before(b.Since) {
			b.Since = part.oldest
		}
	}
	b.Cause = b.cause.String()
	return b, len(b.Regions) > 0
}

// manyBroken is of how many such services a page tells each by itself. To find what probes
// met takes the loop that decides.
const manyBroken = 5

// detailed returns them, the first ones with what their probes met.
func (s *Server) detailed(pub *engine.Published, list []failed) []Broken {
	out := []Broken{}
	if len(list) == 0 {
		return out
	}
	_ = s.eng.Inspect(func(now *engine.Published, check func(int32) *health.State) {
		for i := range list[:min(len(list), manyBroken)] {
			if now.Plan == pub.Plan {
				list[i].Detail = list[i].detail(now, check)
			}
		}
	})
	for i := range list {
		out = append(out, list[i].Broken)
	}
	return out
}

// detail is that of the first probe of a service that failed for the service's cause.
func (f *failed) detail(pub *engine.Published, check func(int32) *health.State) string {
	for c, uses := range pub.Plan.Uses {
		if !slices.ContainsFunc(uses, func(u plan.Use) bool { return u.Service == f.service }) {
			continue
		}
		if last := &check(int32(c)).Last; last.Cause == f.cause && last.Detail != "" { // #nosec G115 -- an index of checks
			return last.Detail
		}
	}
	return ""
}

// line says what fails, why, and since when.
func (b *Broken) line(now time.Time) string {
	where := "everywhere"
	if len(b.Regions) == 1 {
		where = "in " + b.Regions[0] + ", where others are well"
	}
	return fmt.Sprintf("%s fails %s: %s (%s), since %s (%s)", b.Service, where, b.why(), count(b.Endpoints, "endpoint", "endpoints"), clock(b.Since, now), ago(now.Sub(b.Since)))
}

// why is the cause in words: "HTTP 503 Service Unavailable", "refused".
func (b *Broken) why() string {
	switch {
	case b.Detail == "":
		return b.Cause
	case strings.Contains(b.Detail, b.Cause): // "connection refused"
		return b.Detail
	case b.Cause == health.CauseStatus.String():
		return "HTTP " + b.Detail
	}
	return b.Cause + ", " + b.Detail
}
