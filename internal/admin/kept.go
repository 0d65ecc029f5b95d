package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// Guard is how it stands with the names of others that are guarded.
type Guard struct {
	Kept       int    `json:"kept"`        // names of which addresses are kept
	StandingIn int    `json:"standing_in"` // names that are answered with kept addresses now
	Lost       int    `json:"lost"`        // names that fail, and for which nothing stands in
	Proofs     int    `json:"proofs"`      // proofs that began in the last second
	Budget     int    `json:"budget"`      // how many may
	Names      []Kept `json:"names"`       // those that fail, at most 20 in a status; else with others, 10,000 in all unless more fail
}

// Kept is one guarded name.
type Kept struct {
	Name     string       `json:"name"`
	Block    string       `json:"block"`              // the server block that guards it
	Pattern  bool         `json:"pattern,omitempty"`  // found by a pattern
	Standing bool         `json:"standing,omitempty"` // kept addresses are answered now
	Failing  string       `json:"failing,omitempty"`  // how its DNS fails
	Since    time.Time    `json:"since,omitzero"`     // since when
	Good     time.Time    `json:"good,omitzero"`      // its last good answer
	Refusal  string       `json:"refusal,omitempty"`  // why nothing stands in for what fails
	Proves   bool         `json:"proves,omitempty"`   // it proved who it is while it was well
	Members  []KeptMember `json:"members"`
}

// KeptMember is an address of a guarded name.
type KeptMember struct {
	Address string    `json:"address"`
	Seen    time.Time `json:"seen"`              // in a good answer last
	Proof   string    `json:"proof"`             // unproven, proven, refuted, silent or mute
	Good    bool      `json:"good"`              // it was seen often enough, or proved who it is
	Why     string    `json:"why,omitempty"`     // why its last proof failed
	Proved  time.Time `json:"proved,omitzero"`   // its last proof or refutation
	Expired bool      `json:"expired,omitempty"` // what proves it is a certificate that has expired
}

// maxNamed bounds the guarded names in a status.
const maxNamed = 20

// keepers returns the running guards. Tests put others in their place.
var keepers = guard.Front.Guards

func (s *Server) getGuard(*http.Request) (any, error) {
	g := guarded(maxKept)
	if g == nil {
		return nil, problem(http.StatusNotFound, "no name is guarded: no server block of the Corefile has a guard")
	}
	return g, nil
}

// maxKept is how many guarded names a reply lists, if no more than that fail.
const maxKept = 10_000

// guarded gathers how it stands with guarded names that fail, and with as many others as
// there is room for, nil if there is no guard.
func guarded(room int) *Guard {
	k := keepers()
	if k == nil {
		return nil
	}
	names, n := k.Report(room)
	out := &Guard{Kept: n, Proofs: k.Proofs(), Budget: guard.PerSecond, Names: []Kept{}}
	for _, r := range names {
		switch {
		case r.Standing:
			out.StandingIn++
		case r.Failing != "":
			out.Lost++
		}
		out.Names = append(out.Names, wireKept(&r))
	}
	return out
}

// guardFault says why what guards keep is not on disk, "" if it is.
func guardFault() string {
	if k := keepers(); k != nil {
		return k.Fault()
	}
	return ""
}

func wireKept(r *guard.Report) Kept {
	k := Kept{
		Name: people(r.Name), Block: r.Block, Pattern: r.Pattern, Standing: r.Standing, Failing: r.Failing, Since: r.Since,
		Good: r.Good, Refusal: r.Refusal, Proves: r.Proves, Members: []KeptMember{},
	}
	for i := range r.Members {
		m := &r.Members[i]
		k.Members = append(k.Members, wireMember(m))
	}
	return k
}

func wireMember(m *guard.Member) KeptMember {
	out := KeptMember{Address: m.IP.String(), Seen: m.Last.Time(), Proof: m.Proof.String(), Good: m.Good(), Why: m.Why.String(), Expired: m.Expired}
	if m.Proved != 0 {
		out.Proved = m.Proved.Time()
	}
	return out
}

// brief is what a status says: the names that fail.
func (g *Guard) brief() *Guard {
	if g == nil {
		return nil
	}
	g.Names = g.Names[:min(len(g.Names), maxNamed)]
	return g
}

func (s *Server) deleteKept(r *http.Request) (any, error) {
	return s.settleName(r, "guard forget", func(k guard.Guards, name string) bool { return k.Forget(name) })
}

func (s *Server) postKept(r *http.Request) (any, error) {
	return s.settleName(r, "guard accept", func(k guard.Guards, name string) bool { return k.Accept(name) })
}

// settleName does something with a guarded name.
func (s *Server) settleName(r *http.Request, did string, do func(guard.Guards, string) bool) (any, error) {
	name := strings.ToLower(strings.TrimSuffix(r.PathValue("name"), ".")) + "."
	k := keepers()
	if k == nil {
		return s.getGuard(r)
	}
	if !do(k, name) {
		return nil, problem(http.StatusNotFound, "nothing is kept of %s: resolver guard list shows what is", quote(people(name)))
	}
	s.audit(r, nil, did, "name", people(name))
	return guarded(maxKept), nil
}

// line is the guard's line of a status.
func (g *Guard) line(now time.Time) string {
	out := count(g.Kept, "name of others kept", "names of others kept")
	if g.StandingIn > 0 {
		out = fmt.Sprintf("%s %s with kept addresses%s", count(g.StandingIn, "name is", "names are"), "answered", g.examples(now))
	}
	if g.Lost > 0 {
		out += fmt.Sprintf("; %s, and nothing stands in", count(g.Lost, "fails", "fail"))
	}
	return out
}

// examples names some that stand in.
func (g *Guard) examples(now time.Time) string {
	var names []string
	for i := range g.Names {
		if k := &g.Names[i]; k.Standing && len(names) < 2 {
			names = append(names, fmt.Sprintf("%s (%s, for %s)", k.Name, k.Failing, ago(now.Sub(k.Since))))
		}
	}
	more := ""
	if g.StandingIn > len(names) {
		more = ", ..."
	}
	return ": " + strings.Join(names, ", ") + more
}

// WriteGuard lists guarded names, for people.
func WriteGuard(w io.Writer, g *Guard, now time.Time) error {
	if len(g.Names) == 0 {
		_, err := fmt.Fprintln(w, "nothing is kept yet: names are learned from good answers")
		return err
	}
	fmt.Fprintf(w, "%s; %s\n\n", g.line(now), fmt.Sprintf("%d of %d proofs a second in use", g.Proofs, g.Budget))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tLAST GOOD\tADDRESSES\tPROOF")
	for i := range g.Names {
		k := &g.Names[i]
		fmt.Fprintf(t, "%s\t%s\t%s ago\t%s\t%s\n", k.Name, k.state(now), ago(now.Sub(k.Good)), k.addresses(), k.proof())
		for _, m := range k.Members {
			if text := m.odd(now); text != "" {
				fmt.Fprintf(t, "\t\t\t%s\t%s\n", m.Address, text)
			}
		}
	}
	if more := g.Kept - len(g.Names); more > 0 {
		fmt.Fprintf(t, "and %d more, whose answers are good: resolver explain NAME tells of one\n", more)
	}
	return t.Flush()
}

func (k *Kept) state(now time.Time) string {
	switch {
	case k.Standing:
		return fmt.Sprintf("stands in, %s for %s", k.Failing, ago(now.Sub(k.Since)))
	case k.Failing != "":
		return fmt.Sprintf("LOST, %s for %s: %s", k.Failing, ago(now.Sub(k.Since)), k.Refusal)
	}
	return "well"
}

// odd says what there is to say of an address beyond that it is proven or not.
func (m *KeptMember) odd(now time.Time) string {
	last := ""
	if !m.Proved.IsZero() && m.Proof != "refuted" {
		last = ", last proof " + ago(now.Sub(m.Proved)) + " ago"
	}
	switch {
	case m.Expired:
		return "proven by a certificate that has expired"
	case m.Why != "":
		return m.Proof + ": " + m.Why + last
	}
	return ""
}

func (k *Kept) addresses() string {
	const shown = 4
	var out []string
	for _, m := range k.Members[:min(len(k.Members), shown)] {
		out = append(out, m.Address)
	}
	if more := len(k.Members) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return strings.Join(out, " ")
}

// proof counts the members by their proof.
func (k *Kept) proof() string {
	by := map[string]int{}
	for _, m := range k.Members {
		by[m.Proof]++
	}
	var out []string
	for _, p := range []string{"proven", "mute", "silent", "refuted"} {
		if by[p] > 0 {
			out = append(out, fmt.Sprintf("%d %s", by[p], p))
		}
	}
	if out == nil {
		return dash("")
	}
	return strings.Join(out, ", ")
}
