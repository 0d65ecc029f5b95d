package engine

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// What an engine does is told three times: a line of the log for each thing, a
// counter, and an event of the history, in which what happened alike at once is
// one event. Nothing is told per probe or per query.

// record puts an event into the history, now.
func (e *Engine) record(ev journal.Event) {
	ev.At = time.Now()
	e.journal.Add(ev)
}

// tell tells what a publish changed. What led to it comes first.
func (e *Engine) tell(old *Published, s *steer.Snapshot) {
	e.tellTurns()
	e.tellRegions(old, s)
	moves := make([]move, len(s.Changes))
	for i, c := range s.Changes {
		moves[i] = move{places(s.Plan, c.Service, c.From, c.WasFixed), c}
	}
	e.tellMoves(s, moves, "")
	e.tellWould(s)
	e.noteRamps(s)
	e.tellRamps(s.At)
	e.tellRefusals(s)
	e.tellEnds(old, s.At)
}

// moveKind is what services that moved alike have in common.
type moveKind struct{ from, to, reason, why string }

// maxMoveKinds bounds the events of one publish. Beyond it the whys are left to
// the log.
const maxMoveKinds = 100

// moveGroups gathers services by how they moved, in the order in which they come.
type moveGroups struct {
	names map[moveKind][]string
	order []moveKind
}

func (g *moveGroups) add(k moveKind, name string) {
	if len(g.order) >= maxMoveKinds && g.names[k] == nil {
		k.why = ""
	}
	if g.names[k] == nil {
		g.order = append(g.order, k)
	}
	g.names[k] = append(g.names[k], name)
}

// tellMoves tells which services moved. because is counted as their reason; ""
// counts the reason of the answers that they give now.
func (e *Engine) tellMoves(s *steer.Snapshot, moved []move, because string) {
	groups := moveGroups{names: map[moveKind][]string{}}
	for _, m := range moved {
		name := people(s.Plan.Services[m.change.Service].Name)
		k := e.logMove(s, "service moved", m)
		groups.add(k, name)
		e.count.moves[Moved{name, k.from, k.to, cmp.Or(because, k.reason)}]++
	}
	for _, k := range groups.order {
		names := groups.names[k]
		e.record(journal.Event{
			Kind: journal.Moved, Text: k.text(names), Services: names, Count: len(names), From: k.from, To: k.to, Why: k.reason,
		})
	}
}

func (k *moveKind) text(names []string) string {
	text := some(names) + ": " + k.from + " -> " + k.to
	if n := len(names); n > 1 {
		text = many(n, "service", "services") + " " + k.from + " -> " + k.to
	}
	if k.why != "" {
		text += ": " + k.why
	}
	return text
}

// tellWould tells which observed services would have moved. It is no move: it is
// told and counted with those that are refused.
func (e *Engine) tellWould(s *steer.Snapshot) {
	groups := moveGroups{names: map[moveKind][]string{}}
	for _, c := range s.Would {
		m := move{regionsIn(s.Plan, c.Service, c.From), c}
		groups.add(e.logMove(s, "service would have moved, but is only observed", m), people(s.Plan.Services[c.Service].Name))
	}
	e.count.refused[RefusedObserve] += uint64(len(s.Would))
	for _, k := range groups.order {
		names := groups.names[k]
		e.record(journal.Event{
			Kind: journal.Refused, Text: "only observed, would have moved: " + k.text(names),
			Services: names, Count: len(names), From: k.from, To: k.to, Why: RefusedObserve,
		})
	}
}

// logMove writes the line of one service that moved, or would have.
func (e *Engine) logMove(s *steer.Snapshot, text string, m move) moveKind {
	service := m.change.Service
	st := s.State(service)
	to := places(s.Plan, service, m.change.To, st.Fixed)
	why, since := whyMoved(s, m.change)
	k := moveKind{m.from, to, st.Reason.String(), why}
	args := []any{"service", people(s.Plan.Services[service].Name), "from", k.from, "to", k.to, "reason", k.reason, "why", why, "gen", s.Gen}
	if !since.IsZero() {
		args = append(args, "since", since.UTC().Format(time.RFC3339))
	}
	e.log.Info(text, args...)
	return k
}

func (e *Engine) tellRegions(old *Published, s *steer.Snapshot) {
	for r := range s.Regions {
		now, name := &s.Regions[r], s.Plan.Regions[r].Name
		if now.Down == old.down(name) {
			continue
		}
		word := map[bool]string{true: "down", false: "up again"}[now.Down]
		e.log.Warn("region "+word, "region", name, "evidence", now.Evidence, "of", now.Could,
			"canaries_down", now.Failing, "canaries", now.Canaries)
		text := "region " + name + " is " + word + ": " + many(now.Could, "service", "services") + " could speak against it, " +
			many(now.Evidence, "does", "do")
		if now.Canaries > 0 {
			text += "; of " + many(now.Canaries, "canary", "canaries") + " " + many(now.Failing, "fails", "fail")
		}
		e.record(journal.Event{
			Kind: journal.Region, Text: text, Region: name,
			From: map[bool]string{true: "up", false: "down"}[now.Down], To: map[bool]string{true: "down", false: "up"}[now.Down],
		})
	}
}

// down reports whether a region was judged down; its number may be another in
// the next plan.
func (p *Published) down(region string) bool {
	if p == nil {
		return false
	}
	i := slices.IndexFunc(p.Snapshot.Plan.Regions, func(r steer.Region) bool { return r.Name == region })
	return i >= 0 && p.Regions[i].Down
}

// turnKind is what checks that turned alike have in common.
type turnKind struct{ region, from, to, cause string }

// tellTurns tells which checks changed their verdict since it was last called.
// That a check is Up for the first time is no news.
func (e *Engine) tellTurns() {
	turns := e.core.Turned()
	type group struct{ endpoints, services []string }
	groups := map[turnKind]*group{}
	var order []turnKind
	for _, t := range turns {
		e.logTurn(t)
		if t.First {
			continue
		}
		c := &e.core.Plan.Checks[t.Check]
		k := turnKind{regionName(e.core.Plan, c), t.From.String(), t.To.String(), ""}
		if t.To == health.Down {
			k.cause = t.Cause.String()
		}
		g := groups[k]
		if g == nil {
			g = new(group)
			groups[k] = g
			order = append(order, k)
		}
		g.endpoints = append(g.endpoints, c.Addr.String())
		for _, s := range e.core.Plan.Steer.ServicesOf(t.Check) {
			g.services = append(g.services, people(e.core.Plan.Steer.Services[s].Name))
		}
	}
	for _, k := range order {
		g := groups[k]
		slices.Sort(g.services)
		slices.Sort(g.endpoints)
		ends := slices.Compact(g.endpoints)
		text := strings.TrimSuffix(many(len(ends), "endpoint", "endpoints")+" "+k.to+" in "+k.region+" ("+some(ends)+"): "+k.cause, ": ")
		e.record(journal.Event{
			Kind: journal.Check, Text: text, Region: k.region, Endpoints: ends, Services: slices.Compact(g.services),
			Count: len(ends), From: k.from, To: k.to, Why: k.cause,
		})
	}
}

func (e *Engine) logTurn(t Turn) {
	k := &e.core.Plan.Checks[t.Check]
	args := []any{
		"endpoint", k.Addr, "monitor", k.Monitor.Name, "type", k.Monitor.Type,
		"region", regionName(e.core.Plan, k), "was", t.From,
	}
	if t.To == health.Down {
		args = append(args, "cause", t.Cause, "detail", t.Detail)
	}
	if t.After > 0 {
		args = append(args, "after", t.After.Round(time.Second))
	}
	level := slog.LevelInfo
	if t.First {
		level = slog.LevelDebug
	}
	e.log.Log(context.Background(), level, "check "+t.To.String(), args...)
}

// tellBrake tells when the brake went on or off since it was last told of.
func (e *Engine) tellBrake() {
	was, b := e.told, &e.core.Brake
	if e.told = b.On; b.On == was {
		return
	}
	if b.On {
		limit := e.core.Plan.Config.Limits.Brake.String()
		e.log.Warn("brake on: most of the world seems to fail at once, so we doubt ourselves; no verdict turns down for at most "+limit, "fired", b.Fired)
		e.record(journal.Event{Kind: journal.Brake, To: "on", Text: "brake on: most of the world seems to fail at once, so this resolver doubts itself; nothing turns down for at most " + limit})
		return
	}
	after := time.Since(b.Since).Round(time.Second).String()
	e.log.Warn("brake off", "after", after)
	e.record(journal.Event{Kind: journal.Brake, To: "off", Text: "brake off after " + after})
}
