package admin

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/incident"
	"github.com/detour-dns/detour/internal/journal"
)

// Incidents is the reply to GET /v1/incidents.
type Incidents struct {
	Incidents []Incident `json:"incidents"` // in the order of their first events, the oldest first
	Acts      []Act      `json:"acts"`      // what to do now, as in a status, while one of them is not over

	Warning string `json:"warning,omitempty"` // nothing is known, and nothing ever happened, by the name that was asked for
}

// Incident is what failed together, and what followed; or an event that belongs to no
// incident.
type Incident struct {
	ID     uint64    `json:"id"` // of its first event
	At     time.Time `json:"at"`
	Last   time.Time `json:"last"` // of its last event
	Kind   string    `json:"kind"` // incident, or the kind of the event
	Text   string    `json:"text"` // what failed, in a sentence
	Who    string    `json:"who,omitempty"`
	Failed int       `json:"failed"` // endpoints that failed
	Over   bool      `json:"over"`   // nothing of it fails any more, and all is back
	Down   []string  `json:"down"`   // endpoints that still fail
	Away   []string  `json:"away"`   // services that are still answered from elsewhere
	Parts  []Part    `json:"parts"`  // what followed: at most moved, not moved, up and back
	Count  int       `json:"events"` // how many events it is made of
}

// Part is a part of an incident.
type Part struct {
	At   time.Time `json:"at"`
	Last time.Time `json:"last"`
	What string    `json:"what"` // moved, not moved, up or back
	Text string    `json:"text"`
}

// kindIncident is the kind of an incident, which no event has.
const kindIncident = "incident"

// getIncidents answers with the history, in which what belongs together is one.
func (s *Server) getIncidents(r *http.Request) (any, error) {
	q, err := eventQuery(r, time.Now())
	if err != nil {
		return nil, err
	}
	out := Incidents{Incidents: []Incident{}, Acts: []Act{}, Warning: s.mistaken(q.Target)}
	all := s.grouped.of(s.eng.Journal(), s.now, time.Now())
	for i := range all {
		if x := &all[i]; !x.Last().Before(q.Since) && slices.ContainsFunc(x.Events, func(e Event) bool { return e.Concerns(q.Target) }) {
			out.Incidents = append(out.Incidents, wireIncident(x))
		}
	}
	out.Incidents = out.Incidents[max(0, len(out.Incidents)-q.Limit):]
	if slices.ContainsFunc(out.Incidents, func(x Incident) bool { return !x.Over }) {
		out.Acts = s.statusNow().Acts
	}
	return out, nil
}

// grouped is the history as it was last grouped. A long one of many names costs up to a
// second, so it is done once at a time, and takes a tenth of a core at most however often it
// is asked for.
type grouped struct {
	mu   sync.Mutex
	last uint64 // ID of its newest event
	at   time.Time
	cost time.Duration
	all  []incident.Incident
}

// Bounds of how old what was grouped may be.
const (
	sameFor  = time.Second           // if nothing happened since: what fails now may be another
	costRest = 10                    // times its cost, whatever happened
	cheap    = 10 * time.Millisecond // costs that do not matter
)

func (g *grouped) of(j *journal.Journal, now func() incident.Now, at time.Time) []incident.Incident {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := j.Last()
	if age := at.Sub(g.at); g.cost > cheap && age < costRest*g.cost || last == g.last && age < sameFor {
		return g.all
	}
	began := time.Now()
	g.all, g.last = incident.Group(j.Find(journal.Query{}), now()), last
	g.at, g.cost = time.Now(), time.Since(began)
	return g.all
}

// now says what fails and what is elsewhere at present.
func (s *Server) now() incident.Now {
	down, away := map[string]bool{}, map[string]bool{}
	_ = s.eng.Inspect(func(pub *engine.Published, check func(int32) *health.State) {
		for c := range pub.Plan.Checks {
			if check(int32(c)).Verdict == health.Down { // #nosec G115 -- an index of checks
				down[pub.Plan.Checks[c].Addr.String()] = true
			}
		}
	})
	p := &page{pub: s.eng.Load()}
	for i := range p.plan().Services {
		if p.isElsewhere(int32(i)) { // #nosec G115 -- an index of services
			away[people(p.plan().Services[i].Name)] = true
		}
	}
	return incident.Now{
		Down: func(endpoint string) bool { return down[endpoint] },
		Away: func(service string) bool { return away[service] },
	}
}

func wireIncident(x *incident.Incident) Incident {
	first := &x.Events[0]
	out := Incident{
		ID: first.ID, At: x.At(), Last: x.Last(), Kind: string(first.Kind), Text: first.Text, Who: first.Who,
		Over: true, Down: []string{}, Away: []string{}, Parts: []Part{}, Count: len(x.Events),
	}
	if x.Single() {
		return out
	}
	out.Kind, out.Text, out.Over = kindIncident, incidentText(x), x.Over()
	out.Failed = len(x.Endpoints)
	out.Down, out.Away = append(out.Down, x.Down...), append(out.Away, x.Away...)
	add := func(what, text string, at, last time.Time) { out.Parts = append(out.Parts, Part{at, last, what, text}) }
	if p := &x.Moved; len(p.Names) > 0 {
		add("moved", phaseText(p, len(x.Services)), p.At, p.Last)
	}
	if n := len(x.Refused); n > 0 {
		add("not moved", refusedTexts(x.Refused), x.Refused[0].At, x.Refused[n-1].At)
	}
	if p := &x.Up; len(p.Names) > 0 {
		add("up", count(len(p.Names), "endpoint", "endpoints"), p.At, p.Last)
	}
	if p := &x.Back; len(p.Names) > 0 {
		add("back", phaseText(p, len(x.Services)), p.At, p.Last)
	}
	return out
}

// incidentText says what failed: "aws/us-east-1 fails: 12 endpoints of 12 services (reset)".
func incidentText(x *incident.Incident) string {
	where, verb := fewNames(x.Regions), " fails"
	ends := count(len(x.Endpoints), "endpoint", "endpoints")
	switch n := len(x.Services); {
	case len(x.Judged) > 0:
		where, verb = fewNames(x.Judged), " is down"
		if len(x.Judged) > 1 {
			verb = " are down"
		}
		ends += " of " + count(n, "service", "services")
	case n == 1:
		where, verb = x.Services[0]+" fails in "+where, ""
	default:
		if len(x.Regions) > 1 {
			verb = " fail"
		}
		ends += " of " + count(n, "service", "services")
	}
	return where + verb + ": " + ends + " (" + causeText(x.Causes) + ")"
}

// causeText lists causes, the most frequent first; one alone is said without its number.
func causeText(m map[string]int) string {
	if len(m) == 1 {
		return slices.Collect(maps.Keys(m))[0]
	}
	_, list, _ := strings.Cut(causes(m), "; causes ")
	return list
}

// phaseText says how many services went where, and which if others failed that did not.
func phaseText(p *incident.Phase, of int) string {
	to := make([]string, 0, len(p.To))
	for _, c := range counts(p.To) {
		text := c.Region
		if len(p.To) > 1 {
			text += " (" + strconv.Itoa(c.Services) + ")"
		}
		to = append(to, text)
	}
	out := count(len(p.Names), "service", "services") + " to " + fewNames(to)
	if p.Share > 0 {
		out += ", " + strconv.Itoa(p.Share) + " % of the clients so far"
	}
	switch {
	case of == 1 && len(p.Names) == 1:
		return strings.TrimPrefix(out, "1 service ")
	case len(p.Names) < of || len(p.Names) == 1:
		out += ": " + fewNames(p.Names)
	}
	return out
}

// refusedTexts says why what was wanted was not done, each reason once.
func refusedTexts(events []Event) string {
	var out []string
	seen := map[string]bool{}
	for i := range events {
		if k := string(events[i].Kind) + events[i].Why + events[i].To; !seen[k] {
			seen[k] = true
			out = append(out, events[i].Text)
		}
	}
	return strings.Join(out, "; ")
}
