package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/steer"
)

// SetHands replaces what operators decided. The file's overrides come on top.
func (c *Core) SetHands(overrides []steer.Override, freezes []steer.Freeze) {
	c.overrides = append(fileOverrides(c.Plan.Config), overrides...)
	c.freezes, c.all = freezes, true
}

var kinds = map[string]steer.OverrideKind{"drain": steer.Drain, "down": steer.ForceDown, "up": steer.ForceUp}

func fileOverrides(cfg *config.Config) []steer.Override {
	return overridesIn(cfg.Overrides, cfg.Path, time.Time{})
}

// overridesIn are the overrides that stand in a file, written at made.
func overridesIn(list []config.Override, file string, made time.Time) []steer.Override {
	out := make([]steer.Override, 0, len(list))
	for _, o := range list {
		out = append(out, steer.Override{
			Target: o.Target, Kind: kinds[o.Do], Reserve: o.LastResort,
			Made: made, Until: o.Until, Reason: o.Reason, Owner: o.Owner, From: file,
		})
	}
	return out
}

// handsDue reports whether an override or a freeze ended since the last publish,
// so that every service must be built.
func (c *Core) handsDue(now time.Time) bool {
	if c.snap == nil {
		return true
	}
	for i := range c.overrides {
		if ended(c.overrides[i].Until, c.snap.At, now) {
			return true
		}
	}
	for i := range c.freezes {
		if ended(c.freezes[i].Until, c.snap.At, now) {
			return true
		}
	}
	return false
}

func ended(until, last, now time.Time) bool {
	return !until.IsZero() && until.After(last) && !until.After(now)
}

// Wake returns when Publish should be called even if nothing happens, zero if
// never.
func (c *Core) Wake() time.Time {
	if c.snap == nil {
		return time.Time{}
	}
	wake := c.snap.Next()
	earlier := func(t time.Time) {
		if t.After(c.snap.At) && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	for i := range c.overrides {
		earlier(c.overrides[i].Until)
	}
	for i := range c.freezes {
		earlier(c.freezes[i].Until)
	}
	return wake
}

// ErrTooManyMoves is returned for a reload that would move too much at once.
var ErrTooManyMoves = errors.New("too many services would move")

// Replan takes a new plan, with the health of every check that it still has; a
// check whose monitor was edited starts with its endpoint's verdict. A plan that
// would change the pool in use of more than limits.reload_moves of the services
// (but at least one), at once or as soon as what is new in it proves well, is refused unless
// force is set.
func (c *Core) Replan(p *plan.Plan, now time.Time, force bool) error {
	next := &Core{
		Brake: c.Brake, overrides: c.overrides, freezes: c.freezes,
		kept: c.keptFor(p), snap: c.snap, dirty: map[int32]bool{}, heldNew: c.heldNew,
	}
	old := c.predecessors()
	next.adopt(p, old.state)
	next.overrides = append(fileOverrides(p.Config), c.overrides[len(c.Plan.Config.Overrides):]...)
	for i := range p.Checks {
		next.heard[i] = old.heard(&p.Checks[i])
	}
	if c.council != nil {
		next.council, next.opines = c.council.carry(p, old), true
		next.meet(now)
	}
	next.Sweep(now)
	next.moved = moves(c.snap, next.Publish(now))
	if !force && c.snap != nil {
		if err := c.tooMany(next, old, now); err != nil {
			return err
		}
	}
	next.all, next.changed = false, true
	*c = *next
	return nil
}

// maxLeft bounds the services whose memory is kept for when an edit brings them back.
const maxLeft = 100_000

// keptFor returns the memory of services that have no pools in a plan: an edit that drops a
// service by mistake is taken back, and one that moves it to a catalog has no pools before the
// first answer. What a plan has is remembered in its snapshots.
func (c *Core) keptFor(p *plan.Plan) map[string]steer.Memory {
	if c.snap == nil {
		return c.kept
	}
	out := maps.Clone(c.kept)
	if out == nil || len(out) > maxLeft {
		out = map[string]steer.Memory{}
	}
	for i := range c.snap.Plan.Services {
		s := &c.snap.Plan.Services[i]
		if len(s.Pools) == 0 {
			continue
		}
		delete(out, s.Name)
		if j, ok := p.Steer.Find(s.Name); !ok || len(p.Steer.Services[j].Pools) == 0 {
			out[s.Name] = c.snap.State(int32(i)).Memory.Clone()
		}
	}
	return out
}

// tooMany is why the plan of next is refused, nil if it is not. Counted is what moves at
// once, and what moves if all that the plan brings in proves well. What both plans have counts
// as it is: a region that cannot be checked from here is no reason to refuse an edit elsewhere.
func (c *Core) tooMany(next *Core, old predecessors, now time.Time) error {
	p, moved := next.Plan, map[int32]bool{}
	for _, m := range append(moves(c.snap, next.proved(c, old, now)), next.moved...) {
		moved[m.change.Service] = true
	}
	if len(moved) <= max(1, len(p.Config.Services)*p.Config.Limits.ReloadMoves/100) {
		return nil
	}
	return fmt.Errorf("%w: the pool in use of %d of %d services would change (%s); limits.reload_moves allows %d %%: raise it in this same file if you mean it",
		ErrTooManyMoves, len(moved), len(p.Config.Services), sample(p.Steer, slices.Sorted(maps.Keys(moved))), p.Config.Limits.ReloadMoves)
}

// proved returns what c will publish after an earlier core if every endpoint proves well that
// that one has not.
func (c *Core) proved(before *Core, old predecessors, now time.Time) *steer.Snapshot {
	out := *c
	out.snap, out.views, out.assume = before.snap, slices.Clone(c.views), map[string]bool{}
	for i := range c.Plan.Checks {
		if _, had := old.find(&c.Plan.Checks[i]); !had && c.views[i].Verdict == health.Unknown {
			out.views[i] = health.View{Verdict: health.Up, WasUp: true, Since: now.Add(-time.Hour)}
		}
	}
	for _, name := range c.Plan.Names {
		out.assume[name] = true
	}
	for _, name := range before.Plan.Names {
		delete(out.assume, name)
	}
	return out.build(now, true)
}

// move is a service whose regions in use are others under another plan.
type move struct {
	from   string
	change steer.Change // Change.From is all if the pools that were left are not known by number
}

func sample(p *steer.Plan, moved []int32) string {
	var names []string
	for _, i := range moved[:min(len(moved), 3)] {
		names = append(names, people(p.Services[i].Name))
	}
	if len(moved) > len(names) {
		names = append(names, "...")
	}
	return strings.Join(names, ", ")
}

// moves returns what snap, of another plan, moves against old, which may be nil.
func moves(old, snap *steer.Snapshot) []move {
	if old == nil {
		return nil
	}
	before := map[string]string{}
	for i := range old.Plan.Services {
		before[old.Plan.Services[i].Name] = usedRegions(old, int32(i))
	}
	var out []move
	for i := range snap.Plan.Services {
		if b, ok := before[snap.Plan.Services[i].Name]; ok && b != usedRegions(snap, int32(i)) {
			out = append(out, move{b, steer.Change{Service: int32(i), From: ^uint64(0), To: snap.Answered(int32(i))}})
		}
	}
	return out
}

func usedRegions(s *steer.Snapshot, i int32) string {
	return places(s.Plan, i, s.Answered(i), s.State(i).Fixed)
}

// predecessors finds the states that a new plan's checks start with.
type predecessors struct {
	c      *Core
	byKey  map[string]int
	bySeat map[string]int // the worst check of each seat
}

func (c *Core) predecessors() predecessors {
	p := predecessors{c, make(map[string]int, len(c.states)), make(map[string]int, len(c.states))}
	for i := range c.Plan.Checks {
		k := &c.Plan.Checks[i]
		p.byKey[k.Key] = i
		if j, ok := p.bySeat[k.Seat]; !ok || health.Worse(c.views[i], c.views[j]) {
			p.bySeat[k.Seat] = i
		}
	}
	return p
}

// find returns the check itself in the old plan, else the worst one in its seat.
func (p predecessors) find(k *plan.Check) (i int, ok bool) {
	if i, ok = p.byKey[k.Key]; !ok {
		i, ok = p.bySeat[k.Seat]
	}
	return i, ok
}

// state returns the state of what find finds.
func (p predecessors) state(k *plan.Check) (health.State, bool) {
	i, ok := p.find(k)
	if !ok {
		return health.State{}, false
	}
	return p.c.states[i], true
}

func (p predecessors) heard(k *plan.Check) time.Time {
	if i, ok := p.byKey[k.Key]; ok {
		return p.c.heard[i]
	}
	return time.Time{}
}
