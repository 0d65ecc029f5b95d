package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// settling is how long after a start nobody is alarmed that nothing is known:
// as long as the ready plugin waits.
const settling = 10 * time.Second

// judge sums the page up in a state, an exit code and a sentence.
func (s *Status) judge() {
	panics, lost := false, 0
	for _, r := range s.AtRisk {
		panics = panics || r.Panic
		if r.Lost {
			lost++
		}
	}
	said := s.complaint()
	switch {
	case panics:
		s.State, s.ExitCode = Panic, 2
		s.Sentence = s.panicSentence()
		if len(s.Broken) > 0 {
			s.Sentence = s.brokenText() + "; " + s.Sentence
		}
	case said != "":
		s.State, s.ExitCode, s.Sentence = Degraded, 1, said
	case lost > 0:
		s.State, s.ExitCode = Degraded, 2
		s.Sentence = fmt.Sprintf("%s no backup now", count(lost, "service has", "services have"))
	default:
		s.State, s.Sentence = Healthy, s.healthySentence()
	}
	if lost > 0 {
		s.ExitCode = 2
	}
	if s.Mode == "observe" {
		s.Sentence += "; observing only: answers are as if all were healthy"
	}
}

func (s *Status) healthySentence() string {
	if len(s.Services) == 0 {
		return "no services are configured: all names are answered as the Corefile says"
	}
	out := fmt.Sprintf("%s in %s, all where they belong; ",
		count(len(s.Services), "service", "services"), count(s.usedRegions(), "region", "regions"))
	if s.Confirming > 0 {
		out += fmt.Sprintf("a change of %s is being confirmed; ", count(s.Confirming, "endpoint", "endpoints"))
	}
	if s.Checks.Unknown > 0 {
		return out + fmt.Sprintf("%d of %d checks pass, %d have no verdict yet", s.Checks.Up, s.Checks.Total, s.Checks.Unknown)
	}
	return out + count(s.Checks.Total, "check passes", "checks pass")
}

func (s *Status) usedRegions() (n int) {
	for i := range s.Regions {
		if s.Regions[i].Services > 0 {
			n++
		}
	}
	return n
}

// complaint is the worst that can be said short of panic, "" if all is well.
func (s *Status) complaint() string {
	if r := s.worst(); r != nil {
		return s.ofRegion(r)
	}
	switch {
	case len(s.Broken) > 0:
		return s.brokenText()
	case s.Moved.Services > 0:
		return fmt.Sprintf("%d of %s elsewhere than configured%s", s.Moved.Services, count(len(s.Services), "service is", "services are"), s.backText())
	case s.Brake.On:
		return "the brake is on: most of the world seems to fail at once, so this resolver doubts itself and turns nothing down"
	case s.Moved.Pending > 0:
		return fmt.Sprintf("a freeze keeps %s from moving", count(s.Moved.Pending, "service", "services"))
	case len(s.Warnings) > 0:
		return firstLine(s.Warnings[0])
	case s.Checks.Total > 0 && s.Checks.Unknown == s.Checks.Total && s.At.Sub(s.Started) >= settling:
		return fmt.Sprintf("none of %s a verdict, so nothing is known: look at this machine's own network", count(s.Checks.Total, "check has", "checks has"))
	case s.Guard != nil && s.Guard.StandingIn+s.Guard.Lost > 0:
		return "the DNS of others fails: " + s.Guard.line(s.At)
	case s.Checks.Down > 0:
		return fmt.Sprintf("%d of %s", s.Checks.Down, count(s.Checks.Total, "check fails", "checks fail"))
	}
	return ""
}

// brokenText tells of the first of the services that fail by themselves, and how many more
// there are.
func (s *Status) brokenText() string {
	out := s.Broken[0].line(s.At)
	if n := len(s.Broken) - 1; n > 0 {
		out += fmt.Sprintf(", and %d more", n)
	}
	return out
}

// firstLine is the first line of several, which follow below.
func firstLine(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if more {
		first += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	return first
}

// backText says whether traffic is on its way back.
func (s *Status) backText() string {
	switch n := s.Next; {
	case n == nil || n.IfUp:
		return ""
	case n.Manual:
		return "; " + n.Region + " is up again, its failback waits for an operator"
	default:
		return "; traffic returns to " + n.Region
	}
}

// worst is the region that failed most: by verdict, then by the services that
// have nothing up there, then by endpoints.
func (s *Status) worst() *Region {
	var bad []*Region
	for i := range s.Regions {
		if r := &s.Regions[i]; r.fails() {
			bad = append(bad, r)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return slices.MaxFunc(bad, func(a, b *Region) int {
		return cmp.Or(yes(a.Down)-yes(b.Down), (a.NothingUp-a.Broken)-(b.NothingUp-b.Broken), a.Endpoints.Down-b.Endpoints.Down, -cmp.Compare(a.Name, b.Name))
	})
}

// fails reports whether there is anything to blame on a region: what fails is not only
// services that fail everywhere.
func (r *Region) fails() bool { return r.Down || r.Endpoints.Down > r.BrokenEndpoints }

// mostFails reports whether most services there have nothing that is Up, for which they are
// not to blame themselves.
func (r *Region) mostFails() bool { return r.fails() && 2*(r.NothingUp-r.Broken) > r.Services }

func yes(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ofRegion tells what is wrong in a region.
func (s *Status) ofRegion(r *Region) string {
	word := "partly failing"
	switch {
	case r.Down:
		word = "DOWN"
	case r.mostFails():
		word = "FAILING"
	}
	out := fmt.Sprintf("%s %s since %s (%s): ", r.Name, word, clock(r.Since, s.At), ago(s.At.Sub(r.Since)))
	if r.NothingUp == 0 {
		ends := r.Endpoints
		return out + fmt.Sprintf("%d of %s there", ends.Down, count(ends.Up+ends.Down+ends.Unknown, "endpoint fails", "endpoints fail"))
	}
	out += fmt.Sprintf("%d of %s nothing Up there", r.NothingUp, count(r.Services, "service has", "services have"))
	return out + causes(r.Causes)
}

func causes(m map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(m[b]-m[a], cmp.Compare(a, b)) })
	if len(keys) == 0 {
		return ""
	}
	if len(keys) == 1 {
		return "; cause " + keys[0]
	}
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = fmt.Sprintf("%s %d", k, m[k])
	}
	return "; causes " + strings.Join(parts, ", ")
}

// count writes a number with the word that goes with it.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clock writes an instant as an operator reads it at night: the time alone if it
// is within half a day, else with its date. The zone is the process's.
func clock(t, now time.Time) string {
	if d := now.Sub(t).Abs(); d < 12*time.Hour {
		return t.Local().Format(time.TimeOnly)
	}
	return t.Local().Format("Jan _2 15:04")
}

// ago writes a duration in its largest unit: "45 s", "4 min", "3 h", "12 d".
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}
