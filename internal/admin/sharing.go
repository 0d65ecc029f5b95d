package admin

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
)

// Sharing is how it stands with the other resolvers.
type Sharing struct {
	Contact   string     `json:"contact"`           // agreeing, alone, silent (not heard for 15 s) or forgotten (for 10 min)
	Heard     time.Time  `json:"heard,omitzero"`    // when the others were last read
	Problem   string     `json:"problem,omitempty"` // why they are not read now
	Quorum    int        `json:"quorum"`            // observers that must say what is agreed, beyond what zones decide
	Observers []Observer `json:"observers"`         // this one first
	Apart     int        `json:"apart"`             // checks that are seen otherwise from here than is agreed
	Disputes  []Dispute  `json:"disputes"`          // checks of which not all say the same, at most 100
	Stores    []Store    `json:"stores"`
	Splits    []Split    `json:"splits"` // services of which zones use different pools, and no majority decides
}

// Split is a service of which zones have used different pools for half a minute or
// longer. An operator must decide.
type Split struct {
	Service string    `json:"service"`
	Since   time.Time `json:"since"`
	Zones   []ZoneUse `json:"zones"`
	Command string    `json:"command"` // ends it
}

// ZoneUse is the regions that a zone uses of a service.
type ZoneUse struct {
	Zone    string `json:"zone"`
	Regions string `json:"regions"` // with + between them
}

// splitWarnings lists the lines of status on splits: none if nothing is shared.
func (s *Sharing) splitWarnings(now time.Time) []string {
	out := []string{}
	if s == nil {
		return out
	}
	for i := range s.Splits {
		out = append(out, s.Splits[i].text(now))
	}
	return out
}

// text is the line of status on it.
func (s *Split) text(now time.Time) string {
	parts := make([]string, len(s.Zones))
	for i, z := range s.Zones {
		parts[i] = z.Zone + " uses " + z.Regions
	}
	return fmt.Sprintf("split for %s: %s: %s; run %s", ago(now.Sub(s.Since)), s.Service, strings.Join(parts, ", "), s.Command)
}

// Observer is one resolver in its role of prober.
type Observer struct {
	Name     string `json:"name"`
	Self     bool   `json:"self,omitempty"` // the one that is asked
	Zone     string `json:"zone"`
	Version  string `json:"version"`
	Decision string `json:"decision_hash"`
	Alike    bool   `json:"alike"`  // it judges the same checks
	Common   int    `json:"common"` // checks of the one that is asked that it is known to judge as well: on others it has no voice
	Braked   bool   `json:"braked,omitempty"`
	Muted    bool   `json:"muted,omitempty"` // its zone has more observers than share.expect says: it has no voice
	Assigned int    `json:"assigned"`        // checks that it probes, of those that the one that is asked has too; -1: all of its own
	NotUp    int    `json:"not_up"`
}

// Dispute is a check of which not all observers say the same.
type Dispute struct {
	Region   string   `json:"region"`
	Endpoint string   `json:"endpoint"`
	Monitor  string   `json:"monitor"`
	Counts   string   `json:"counts"` // what counts here: up, down, doubtful (down only by one observer) or unknown
	Says     []Saying `json:"says"`
}

// Saying is what one observer says of a check.
type Saying struct {
	Observer string `json:"observer"`
	Zone     string `json:"zone"`
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"`
	Monitor  string `json:"monitor"`
	Verdict  string `json:"verdict"`
	Cause    string `json:"cause,omitempty"`
}

// Store is a place where observers meet.
type Store struct {
	Name   string    `json:"name"`
	At     time.Time `json:"at,omitzero"` // of its last good read
	Error  string    `json:"error,omitempty"`
	Writes int       `json:"writes"`
	Bytes  int       `json:"bytes"`
	Odd    int       `json:"ignored"` // values that are not what they should be
}

func (s *Server) sharing() *Sharing {
	now, ok := s.eng.Sharing()
	if !ok {
		return nil
	}
	out := &Sharing{
		Contact: now.Contact.String(), Heard: now.Heard, Problem: now.Problem, Quorum: now.Quorum, Apart: now.Apart,
		Observers: []Observer{}, Disputes: []Dispute{}, Stores: []Store{}, Splits: []Split{},
	}
	for _, o := range now.Observers {
		out.Observers = append(out.Observers, Observer(o))
	}
	for _, st := range now.Stores {
		out.Stores = append(out.Stores, Store{st.Name, st.At, st.Error, st.Writes, int(st.Bytes), st.Odd})
	}
	for i := range now.Splits {
		sp := &now.Splits[i]
		zones := make([]ZoneUse, len(sp.Zones))
		for n, z := range sp.Zones {
			zones[n] = ZoneUse(z)
		}
		out.Splits = append(out.Splits, Split{sp.Service, sp.Since, zones, sp.Command})
	}
	for i := range now.Disputes {
		d := &now.Disputes[i]
		out.Disputes = append(out.Disputes, Dispute{d.Region, d.Endpoint, d.Monitor, countsAs(d.Agreed), sayings(d.Says)})
	}
	return out
}

func countsAs(v health.View) string {
	if v.Verdict == health.Down && v.Elsewhere {
		return "doubtful"
	}
	return v.Verdict.String()
}

func sayings(list []engine.Saying) []Saying {
	out := []Saying{}
	for _, s := range list {
		say := Saying{s.Observer, s.Zone, s.Region, s.Endpoint, s.Monitor, s.Verdict.String(), ""}
		if s.Verdict == health.Down {
			say.Cause = s.Cause.String()
		}
		out = append(out, say)
	}
	return out
}

// line is one line on how it stands, at now.
func (s *Sharing) line(now time.Time) string {
	since := ago(now.Sub(s.Heard))
	switch s.Contact {
	case "alone":
		return "no other resolver is heard: this one decides alone" + s.problemText()
	case "silent":
		return "the others are NOT HEARD for " + since + s.problemText() + "; what was agreed stands until it changes here"
	case "forgotten":
		return "the others are NOT HEARD for " + since + s.problemText() + "; this resolver decides alone"
	}
	parts := []string{s.agreement()}
	for _, st := range s.Stores {
		parts = append(parts, st.text(now))
	}
	switch s.Apart {
	case 0:
		parts = append(parts, "this resolver sees what the others see")
	default:
		parts = append(parts, count(s.Apart, "check is", "checks are")+" seen otherwise from here than is agreed")
	}
	return strings.Join(parts, "; ")
}

func (s *Sharing) problemText() string {
	if s.Problem == "" {
		return ""
	}
	return " (" + s.Problem + ")"
}

// agreement says how many observers there are, and whether they decide alike.
func (s *Sharing) agreement() string {
	other, strange, partly, braked, muted := 0, 0, 0, 0, 0
	for _, o := range s.Observers {
		switch {
		case o.Muted:
			muted++
		case o.Braked:
			braked++
		case o.Alike && o.Decision == s.Observers[0].Decision:
		case !o.Alike && o.Common == 0:
			strange++
		case !o.Alike:
			partly++
		default:
			other++
		}
	}
	text := count(len(s.Observers), "observer", "observers")
	for _, p := range []struct {
		n    int
		what string
	}{
		{other, "decide otherwise"},
		{partly, "with some other checks, on which they have no voice"},
		{strange, "with other checks, which have no voice"},
		{braked, "in doubt of themselves"},
		{muted, "more than share.expect says, which have no voice"},
	} {
		if p.n > 0 {
			text += fmt.Sprintf(", %d %s", p.n, p.what)
		}
	}
	if voices := len(s.Observers) - strange - braked - muted; voices < s.Quorum {
		text += fmt.Sprintf(", TOO FEW for quorum %d: nothing is agreed", s.Quorum)
	} else if other+partly+strange+braked+muted == 0 {
		text += " fresh, agree"
	}
	return text
}

func (st *Store) text(now time.Time) string {
	switch {
	case st.Error != "":
		return st.Name + " FAILS: " + st.Error
	case st.At.IsZero():
		return st.Name + " not read yet"
	}
	return fmt.Sprintf("%s ok %s ago", st.Name, ago(now.Sub(st.At)))
}

// tables writes the observers and what they differ in.
func (s *Sharing) tables(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OBSERVER\tZONE\tVERSION\tPROBES\tNOT UP\tDECISIONS\tNOTE")
	for _, o := range s.Observers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", o.Name, dash(o.Zone), dash(o.Version), o.probes(s.Observers[0].Common), o.NotUp, o.Decision, o.note(&s.Observers[0]))
	}
	_ = t.Flush() // into memory
	if len(s.Disputes) == 0 {
		return
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "DISPUTED\tREGION\tMONITOR\tHERE IT COUNTS AS\tUP FOR\tDOWN FOR")
	for _, d := range s.Disputes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Endpoint, d.Region, d.Monitor, d.Counts, d.who("up"), d.who("down"))
	}
	_ = t.Flush() // into memory
}

// probes says how many checks an observer probes, of all that there are.
func (o *Observer) probes(all int) string {
	if o.Assigned < 0 {
		return "all"
	}
	return fmt.Sprintf("%d of %d", o.Assigned, all)
}

// note says what is special about an observer, as seen by another.
func (o *Observer) note(by *Observer) string {
	switch {
	case o.Self:
		return "this one"
	case o.Muted:
		return "more than share.expect says for its zone: has no voice"
	case o.Braked:
		return "brake on: has no voice"
	case !o.Alike && o.Common == 0:
		return "other checks: has no voice"
	case !o.Alike:
		return fmt.Sprintf("other checks: has a voice on %d of %d", o.Common, by.Common)
	case o.Decision != by.Decision:
		return "decides otherwise"
	}
	return ""
}

func (d *Dispute) who(verdict string) string {
	var names []string
	for _, s := range d.Says {
		if s.Verdict == verdict {
			names = append(names, s.Observer)
		}
	}
	return dash(strings.Join(names, ", "))
}

// sayingTable writes what each observer says of each check of a service.
func sayingTable(w io.Writer, says []Saying) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "OBSERVER\tZONE\tREGION\tENDPOINT\tMONITOR\tSAYS")
	slices.SortStableFunc(says, func(a, b Saying) int { return strings.Compare(a.Observer, b.Observer) })
	for _, s := range says {
		verdict := s.Verdict
		if s.Cause != "" {
			verdict += " (" + s.Cause + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Observer, dash(s.Zone), s.Region, s.Endpoint, s.Monitor, verdict)
	}
	_ = t.Flush() // into memory
}
