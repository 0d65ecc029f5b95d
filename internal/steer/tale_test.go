package steer

import (
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// tale is a plan to which one thing happens after the other.
type tale struct{ s *Snapshot }

// begin builds a plan while all is well.
func begin(p *Plan) *tale {
	p.Index()
	return &tale{Build(Input{Plan: p, Now: t0, Checks: up(p.Checks)})}
}

// then builds again, so long after the beginning, and returns the first service.
func (y *tale) then(after time.Duration, views []health.View, edits ...func(*Input)) *ServiceState {
	in := Input{Plan: y.s.Plan, Now: t0.Add(after), Checks: views, Prev: y.s, All: true}
	for _, edit := range edits {
		edit(&in)
	}
	y.s = Build(in)
	return y.s.State(0)
}

// frozen stops automation.
func frozen(in *Input) { in.Freezes = []Freeze{{Until: in.Now.Add(24 * time.Hour)}} }

// by has operators do these.
func by(o ...Override) func(*Input) { return func(in *Input) { in.Overrides = o } }

// dead is so many checks of which these time out.
func dead(n int, which ...int) []health.View { return down(up(n), health.CauseTimeout, which...) }

// heldBack is a check that came Up at an instant after an ejection shortly before.
func heldBack(since time.Time) health.View {
	return health.View{Verdict: health.Up, WasUp: true, Since: since, Ejected: health.Ejections{since.Add(-time.Second)}}
}

// stale is a check without news that was last seen Down.
var stale = health.View{Verdict: health.Unknown, WasUp: true, WasDown: true}
