package admin

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// page is what a status is made from: one snapshot, and what the engine knows
// beside it.
type page struct {
	pub       *engine.Published
	sum       engine.Summary
	overdue   int
	overrides []steer.Override
	freezes   []steer.Freeze
	listings  []engine.Listing
	guard     *Guard
	troubles  []string
	sharing   *Sharing // nil: with nobody
	started   time.Time
	now       time.Time
}

func (s *Server) getStatus(*http.Request) (any, error) { return s.statusNow(), nil }

func (s *Server) statusNow() *Status {
	p := &page{pub: s.eng.Load(), sum: s.eng.Summary(), overdue: s.eng.Stats().Overdue, now: time.Now()}
	p.overrides, p.freezes = s.eng.Hands()
	p.listings = s.eng.Listings()
	p.guard = guarded(0).brief()
	p.troubles, p.sharing, p.started = s.troubles(p.now), s.sharing(), s.eng.Started()
	return p.status(s.detailed)
}

// status puts the page together. The sentence and the state come last: they
// judge what the rest says.
func (p *page) status(detail func(*engine.Published, []failed) []Broken) *Status {
	parts := p.parts()
	broken := p.broken(parts)
	cfg := p.pub.Plan.Config
	out := &Status{
		At: p.now, Started: p.started, Sharing: p.sharing, Mode: string(cfg.Mode), Generation: p.pub.Gen,
		Decision: hash(p.pub.Hash()),
		Config: Config{
			Path: cfg.Path, Hash: cfg.Hash, At: p.sum.Reload.At, OK: p.sum.Reload.OK, Error: p.sum.Reload.Error,
		},
		Brake:    p.brake(),
		Checks:   p.checks(),
		Services: make([]Service, 0, len(p.plan().Services)),
		Regions:  p.regions(parts, broken), Broken: detail(p.pub, broken),
		Overrides: p.overrideList(), Freezes: p.freezeList(),
		AtRisk: []Risk{}, Warnings: p.warnings(), Guard: p.guard,
	}
	for i := range p.plan().Services {
		r, ok := p.risk(int32(i))
		if ok {
			out.AtRisk = append(out.AtRisk, r)
		}
		s := p.service(int32(i))
		s.State = p.stateOf(int32(i), ok && r.Lost)
		out.Services = append(out.Services, s)
	}
	out.Cap = p.cap(out.Regions)
	out.Moved = p.moved()
	out.Next = p.next()
	out.Confirming = p.confirming()
	out.Acts = p.acts(out)
	out.judge()
	return out
}

func (p *page) plan() *steer.Plan { return p.pub.Plan.Steer }

func (p *page) brake() Brake {
	b := p.sum.Brake
	return Brake{
		On: b.On, Since: b.Since, Ended: b.Ended, Until: p.sum.BrakeUntil, Rests: b.Rests, Fired: b.Fired,
		SelfPassing: p.sum.SelfPassing, SelfFailing: p.sum.SelfFailing,
	}
}

func (p *page) checks() Checks {
	v := p.sum.Verdicts
	return Checks{
		Total: len(p.pub.Plan.Checks), Up: v["up"], Down: v["down"], Unknown: v["unknown"], Overdue: p.overdue,
	}
}

// warnings says what is wrong with the resolver itself.
func (p *page) warnings() []string {
	out := append(p.sharing.splitWarnings(p.now), p.troubles...)
	if r := p.sum.Reload; !r.OK && r.Error != "" {
		out = append(out, "the last change of failover.yaml was refused, the one before is in use: "+r.Error)
	}
	if p.sum.Crashed != "" {
		out = append(out, p.sum.Crashed)
	}
	if p.sum.StateLost != "" {
		out = append(out, "a restart would forget overrides and what moved: "+p.sum.StateLost)
	}
	if p.sum.StateForgot != "" {
		out = append(out, "look whether overrides and freezes are as they should be: "+p.sum.StateForgot)
	}
	if p.sum.Blind != "" {
		out = append(out, p.sum.Blind)
	}
	if fault := guardFault(); fault != "" {
		out = append(out, "a restart would forget what is known of names of others: "+fault)
	}
	if p.sum.EventsLost != "" {
		out = append(out, "events are kept in memory only: "+p.sum.EventsLost)
	}
	out = append(out, p.fileWarnings()...)
	out = append(out, p.handWarnings()...)
	out = append(out, p.catalogWarnings()...)
	if p.sum.Rejoins {
		out = append(out, "share:, self.name or self.zone was edited, which counts only from the next start: start this resolver anew")
	}
	if p.overdue > 0 {
		out = append(out, "I cannot keep up: "+strconv.Itoa(p.overdue)+" checks are overdue by an interval or more")
	}
	return out
}

// fileWarnings says which files cannot be read now, and which secrets others can read.
func (p *page) fileWarnings() []string {
	out := p.sum.Lacks
	for _, f := range p.pub.Plan.Config.Exposed() {
		out = append(out, f.Message)
	}
	return out
}

// handWarnings says which files of overrides do not act as they are.
func (p *page) handWarnings() (out []string) {
	for _, fault := range p.sum.HandFaults {
		out = append(out, "a file of overrides is not taken, what it said before stays: "+fault)
	}
	for _, path := range p.sum.HandStrays {
		out = append(out, path+" is not read: files of overrides end in .yaml, rename it if it is one")
	}
	return out
}

// catalogWarnings says which catalogs do not answer, one line for those with the
// same trouble.
func (p *page) catalogWarnings() (out []string) {
	troubled := map[string][]engine.Listing{}
	for _, l := range p.listings {
		if l.Problem != "" {
			troubled[l.Problem] = append(troubled[l.Problem], l)
		}
	}
	for _, problem := range slices.Sorted(maps.Keys(troubled)) {
		list := troubled[problem]
		what, since := people(list[0].Service), ""
		if len(list) > 1 {
			what = count(len(list), "service", "services") + " (" + what + ", ...)"
		}
		first := slices.MinFunc(list, func(a, b engine.Listing) int { return a.At.Compare(b.At) })
		if !first.At.IsZero() {
			since = " since " + ago(p.now.Sub(first.At)) + " ago"
		}
		out = append(out, "the catalog of "+what+" does not answer well"+since+", what was known stays: "+problem)
	}
	return out
}

func (p *page) cap(regions []Region) Cap {
	enabled, c := 0, Cap{Refused: []string{}}
	for i := range regions {
		r := &regions[i]
		if r.Services > 0 {
			enabled++
		}
		if r.Down {
			c.Used++
		}
		if r.CapRefused {
			c.Refused = append(c.Refused, r.Name)
		}
	}
	c.Limit = max(1, enabled*p.plan().Limits.RegionsOut/100)
	return c
}

func (p *page) overrideList() []Override {
	out := []Override{}
	void := p.void()
	for _, o := range p.overrides {
		w := wireOverride(o)
		w.Void = void[o.Target]
		out = append(out, w)
	}
	return out
}

// void returns, by target, the services on which a drain does not act.
func (p *page) void() map[string][]string {
	out := map[string][]string{}
	for i := range p.plan().Services {
		for _, o := range p.pub.State(int32(i)).Void {
			out[o.Target] = append(out[o.Target], people(p.plan().Services[i].Name))
		}
	}
	return out
}

func wireOverride(o steer.Override) Override {
	return Override{
		Target: people(o.Target), Do: o.Kind.String(), Reason: o.Reason, Owner: o.Owner,
		Made: o.Made, Until: o.Until, LastResort: o.Reserve, File: o.From,
	}
}

func (p *page) freezeList() []Freeze {
	out := []Freeze{}
	for _, f := range p.freezes {
		out = append(out, wireFreeze(f))
	}
	return out
}

func wireFreeze(f steer.Freeze) Freeze {
	return Freeze{Target: people(f.Target), Reason: f.Reason, Owner: f.Owner, Until: f.Until}
}

// people writes a name or a target as people do: without the name's last dot.
func people(target string) string {
	return strings.Replace(strings.TrimSuffix(target, "."), "./", "/", 1)
}

// hash writes a decision hash.
func hash(h uint64) string {
	s := strconv.FormatUint(h, 16)
	return strings.Repeat("0", 16-len(s)) + s
}
