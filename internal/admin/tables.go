package admin

import (
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func (s *Status) regionTable(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "REGION\tSTATE\tSINCE\tCAUSE\tSERVING\tENDPOINTS\tCANARIES\tRETURNING")
	for _, r := range slices.SortedStableFunc(pointers(s.Regions), func(a, b *Region) int { return a.severity() - b.severity() }) {
		cause, since := "-", time.Time{}
		if r.fails() { // else it is the fault of services that fail wherever they run
			since = r.Since
			if len(r.Causes) > 0 {
				cause = causeText(r.Causes)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d of %d\t%s\t%s\t%s\n", r.Name, r.state(), s.agoOf(since), cause, r.Serving, r.Services,
			r.Endpoints.text(), r.canaryText(), r.returnText())
	}
	_ = t.Flush() // into memory
}

func pointers[T any](list []T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range list {
			if !yield(&list[i]) {
				return
			}
		}
	}
}

// severity orders regions, the worst first.
func (r *Region) severity() int {
	switch {
	case r.Down:
		return 0
	case r.CapRefused:
		return 1
	case r.fails():
		return 2
	case r.Returning > 0:
		return 3
	}
	return 4
}

func (r *Region) state() string {
	switch {
	case r.Down:
		return "DOWN"
	case r.CapRefused:
		return "DOWN, but the cap"
	case r.mostFails():
		return "failing"
	case r.fails():
		return "partly failing"
	case r.Endpoints.Drained > 0 && r.Endpoints.Drained == r.Endpoints.Up+r.Endpoints.Unknown:
		return "drained"
	case r.Endpoints.Up > 0:
		return "up"
	}
	return "unknown"
}

func (e Endpoints) text() string {
	parts := []string{fmt.Sprintf("%d up", e.Up)}
	if e.Down > 0 {
		parts = append(parts, fmt.Sprintf("%d down", e.Down))
	}
	if e.Unknown > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", e.Unknown))
	}
	if e.Drained > 0 {
		parts = append(parts, fmt.Sprintf("of these %d drained", e.Drained))
	}
	return strings.Join(parts, ", ")
}

func (r *Region) canaryText() string {
	if r.Canaries == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d fail", r.CanariesDown, r.Canaries) // those without a verdict are not up either
}

func (r *Region) returnText() string {
	switch {
	case r.Returning == 0:
		return "-"
	case r.Share > 0:
		return fmt.Sprintf("%s, ramp at %d %%", count(r.Returning, "service", "services"), r.Share)
	}
	return count(r.Returning, "service", "services")
}

func (s *Status) agoOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return ago(s.At.Sub(t)) + " ago"
}

func (s *Status) serviceTable(w io.Writer, all bool) {
	all = all || len(s.Services) <= someServices
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tSTATE\tANSWERS FROM\tTHERE SINCE\tCAUSE\tBACKUPS\tPOOLS")
	hidden := 0
	for _, v := range slices.SortedStableFunc(pointers(s.Services), func(a, b *Service) int { return worse(a.State, b.State) }) {
		if !all && v.State == stateOK {
			hidden++
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", v.Name, v.stateText(), v.from(), s.agoOf(v.Since), dash(v.Cause), v.Backups, v.poolText())
	}
	_ = t.Flush() // into memory
	if hidden > 0 {
		fmt.Fprintln(w, count(hidden, "service is healthy where it belongs", "services are healthy where they belong")+": --all lists them")
	}
}

// stateText is the state on the screen: what must be seen is in capitals.
func (v *Service) stateText() string {
	out := v.State
	if worse(out, stateWriter) <= 0 {
		out = strings.ToUpper(out)
	}
	switch {
	case v.State != stateLost || !v.Elsewhere:
	case v.Writer:
		out = strings.ToUpper(stateWriter) + ", " + out
	default:
		out = stateMoved + ", " + out
	}
	if v.Frozen {
		out += ", frozen"
	}
	if v.Observe {
		out += ", observed"
	}
	return out
}

func (v *Service) from() string {
	switch {
	case v.Refused:
		return "nothing (" + unanswered(v.NoData) + ")"
	case v.Fixed:
		return "fixed addresses"
	case len(v.Using) == 0:
		return "nothing"
	}
	out := strings.Join(v.Using, ", ")
	if v.Observe && !slices.Equal(v.Using, v.Would) {
		out += " (would be " + strings.Join(v.Would, ", ") + ")"
	}
	return out
}

// poolText says what is wrong with the pools; the causes have a column of their own.
func (v *Service) poolText() string {
	if len(v.Why) == 0 {
		return "all ready"
	}
	return ofDown.ReplaceAllString(strings.Join(v.Why, "; "), "$1)")
}

// ofDown are the causes in the text of a pool: "sick (1 of 2 down: reset)".
var ofDown = regexp.MustCompile(`(\d+ of \d+ down): [^)]*\)`)
