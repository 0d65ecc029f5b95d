package admin

import (
	"fmt"
	"slices"
	"strings"
)

// panicSentence tells the worst first: who is not answered at all, then who need
// not be in panic.
func (s *Status) panicSentence() string {
	var refused, empty, stuck, drained, answered []string
	for i := range s.AtRisk {
		switch r := &s.AtRisk[i]; {
		case !r.Panic:
		case r.NoData:
			empty = append(empty, r.Service)
		case r.Refused:
			refused = append(refused, r.Service)
		case r.stuck():
			stuck = append(stuck, r.Service)
		case r.Lift != "":
			drained = append(drained, r.Service)
		default:
			answered = append(answered, r.Service)
		}
	}
	var parts []string
	add := func(names []string, one, many string) {
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%d of %s: %s", len(names), count(len(s.Services), one, many), fewNames(names)))
		}
	}
	add(empty, "service has nothing healthy and is answered with no data", "services have nothing healthy and are answered with no data")
	add(refused, "service has nothing healthy and is not answered (SERVFAIL)", "services have nothing healthy and are not answered (SERVFAIL)")
	if len(stuck) > 0 {
		add(stuck, "service answers dead addresses "+s.thawText(), "services answer dead addresses "+s.thawText())
	}
	add(drained, "service answers dead addresses, for what is healthy of it is drained", "services answer dead addresses, for what is healthy of them is drained")
	add(answered, "service has nothing healthy and answers by last resort", "services have nothing healthy and answer by last resort")
	return strings.Join(parts, "; ")
}

// thawText sums up the freezes that keep services in panic.
func (s *Status) thawText() string {
	var all Risk
	for _, r := range s.AtRisk {
		all.FrozenBy = append(all.FrozenBy, r.FrozenBy...)
		all.Thawed = append(all.Thawed, r.Thawed...)
	}
	slices.Sort(all.FrozenBy)
	slices.Sort(all.Thawed)
	all.FrozenBy, all.Thawed = slices.Compact(all.FrozenBy), slices.Compact(all.Thawed)
	return all.thawText()
}

// fewNames is what a sentence says of a list.
func fewNames(names []string) string {
	const shown = 3
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

// riskLines tells the services without a backup: those in panic, then those that
// lost theirs, then how many never have one.
func (s *Status) riskLines() (out []string) {
	const most = 5
	var first, then []string
	single := 0
	for _, r := range s.AtRisk {
		hint := s.hintText(&r)
		switch {
		case r.Panic:
			first = append(first, r.Service+" "+r.panicText()+hint)
		case r.Lost:
			then = append(then, r.Service+" has NO backup"+hint)
		default:
			single++
		}
	}
	out = append(first, then...)
	if n := len(out) - most; n > 0 {
		out = append(out[:most], fmt.Sprintf("... and %s more", count(n, "service", "services")))
	}
	if single > 0 {
		out = append(out, count(single, "service never has a backup, by its configuration", "services never have a backup, by their configuration"))
	}
	if len(out) == 0 {
		return []string{"nothing"}
	}
	return out
}

// unanswered is how clients are told that there is no answer.
func unanswered(noData bool) string {
	if noData {
		return "NODATA"
	}
	return "SERVFAIL"
}

// panicText says what a service in panic answers.
func (r *Risk) panicText() string {
	switch {
	case r.stuck():
		return "answers DEAD addresses " + r.thawText()
	case r.Refused:
		return "has NOTHING HEALTHY, and is not answered (" + unanswered(r.NoData) + ")"
	}
	return "has NOTHING HEALTHY"
}

// stuck reports whether it is in panic by a freeze only.
func (r *Risk) stuck() bool { return len(r.Thawed) > 0 }

// thawText says whose freeze it is, and what its end would give.
func (r *Risk) thawText() string {
	return "because of the freeze by " + fewNames(r.FrozenBy) + "; unfreeze would give " + strings.Join(r.Thawed, ", ")
}

// hintText says what would help a service: "azure/westeurope drained by jo until
// 06:00:00: undrain would give one".
func (s *Status) hintText(r *Risk) string {
	if r.Hint == "" {
		return ""
	}
	text := r.Hint
	for _, o := range s.Overrides {
		if o.Target == r.Lift {
			text += until(o.Until, s.At) + ": undrain would " + map[bool]string{true: "end this", false: "give one"}[r.Panic]
		}
	}
	return " (" + text + ")"
}
