package admin

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// someServices is how many services the table of a status shows even if they are
// healthy. Of more it shows those that are not.
const someServices = 20

// WriteStatus writes a status for people: a sentence, what moved and what is at
// risk, what people and automation do, then tables. all shows every service.
func WriteStatus(w io.Writer, status *Status, all bool) error {
	s := *status
	s.judge() // anew, for the sentence has times, which are read where this runs
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", strings.ToUpper(s.State), s.Sentence)
	for _, line := range s.lines() {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-9s %s", line[0], line[1]), " "))
	}
	if len(s.Services)+len(s.Regions) > 0 {
		b.WriteByte('\n')
		s.regionTable(&b)
		b.WriteByte('\n')
		s.serviceTable(&b, all)
	}
	if s.Sharing != nil && all {
		b.WriteByte('\n')
		s.Sharing.tables(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines are the labeled lines below the sentence. A label is said once.
func (s *Status) lines() (out [][2]string) {
	add := func(label string, texts ...string) {
		for _, text := range texts {
			for t := range strings.SplitSeq(text, "\n") {
				out = append(out, [2]string{label, t})
				label = ""
			}
		}
	}
	add("also", s.alsoLines()...)
	add("do", s.actLines()...)
	add("moved", s.movedLines()...)
	add("at risk", s.riskLines()...)
	add("hands", s.handLines()...)
	if s.Sharing != nil {
		add("sharing", s.Sharing.line(s.At))
	}
	if s.Guard != nil {
		add("guard", s.Guard.line(s.At))
	}
	add("next", s.nextLine())
	add("config", s.configLines()...)
	return out
}

// alsoLines tells of failing regions and services that the sentence does not.
func (s *Status) alsoLines() (out []string) {
	for i := range s.Regions {
		r := &s.Regions[i]
		if !r.fails() {
			continue
		}
		if line := s.ofRegion(r); line != s.Sentence && !strings.HasPrefix(s.Sentence, line) {
			out = append(out, line)
		}
	}
	for i := range s.Broken[:min(len(s.Broken), manyBroken)] {
		if line := s.Broken[i].line(s.At); !strings.HasPrefix(s.Sentence, line) {
			out = append(out, line)
		}
	}
	if n := len(s.Broken) - manyBroken; n > 0 {
		out = append(out, fmt.Sprintf("%d more fail wherever they run", n))
	}
	return out
}

func (s *Status) movedLines() (out []string) {
	m := &s.Moved
	if m.Services > 0 {
		out = append(out, fmt.Sprintf("%s -> %s   last move %s   clients follow by %s", count(m.Services, "service", "services"),
			countList(m.To), clock(m.Last, s.At), clock(m.Clients, s.At)))
	}
	if n := len(m.Writers); n > 0 {
		out = append(out, fmt.Sprintf("%s MOVED: %s; what writes elsewhere must stop", count(n, "SINGLE WRITER", "SINGLE WRITERS"), fewNames(m.Writers)))
	}
	if m.Pending > 0 {
		out = append(out, count(m.Pending, "service would move, but is frozen", "services would move, but are frozen"))
	}
	if m.Would > 0 {
		out = append(out, count(m.Would, "observed service would have moved", "observed services would have moved"))
	}
	if len(out) == 0 {
		return []string{"nothing"}
	}
	return out
}

func countList(list []Count) string {
	if len(list) == 0 {
		return "nothing"
	}
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = fmt.Sprintf("%s (%d)", c.Region, c.Services)
	}
	return strings.Join(parts, ", ")
}

func (s *Status) handLines() []string {
	freeze := "freeze off"
	if len(s.Freezes) > 0 {
		freeze = count(len(s.Freezes), "freeze", "freezes")
	}
	out := []string{fmt.Sprintf("%s, %s, %s, cap %d of %d used%s",
		count(len(s.Overrides), "override", "overrides"), freeze, s.brakeText(), s.Cap.Used, s.Cap.Limit, s.refusedText())}
	for _, f := range s.Freezes {
		out = append(out, fmt.Sprintf("freeze on %s by %s%s: %s", orAll(f.Target), f.Owner, until(f.Until, s.At), f.Reason))
	}
	for _, o := range s.Overrides {
		out = append(out, s.overrideText(o))
	}
	return out
}

func (s *Status) overrideText(o Override) string {
	end := until(o.Until, s.At)
	if !o.Until.IsZero() && !o.Until.After(s.At) {
		end = overSince(o.Until)
	}
	out := fmt.Sprintf("%s %s by %s%s: %s", o.Do, o.Target, o.Owner, end, o.Reason)
	if o.File != "" {
		out += " (in " + o.File + ")"
	}
	if n := len(o.Void); n > 0 {
		out += "; VOID for " + count(n, "service", "services") + " that it would leave nothing: " + strings.Join(o.Void[:min(n, 3)], ", ")
	}
	return out
}

func until(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + clock(t, now)
}

// overSince says that the end of a decision lies in the past: that of one in a file,
// which stays there.
func overSince(t time.Time) string {
	return ", is over since " + t.Local().Format("2006-01-02 15:04") + " and does nothing"
}

func (s *Status) brakeText() string {
	switch b := &s.Brake; {
	case b.On:
		return "BRAKE ON since " + clock(b.Since, s.At) + until(b.Until, s.At) + " at the latest"
	case b.Fired > 0:
		return fmt.Sprintf("brake off (fired %s for %s%s%s)", clock(b.Since, s.At), ago(b.Ended.Sub(b.Since)), b.restText(s.At), b.selfText("; "))
	}
	return "brake off" + s.Brake.selfText(", ")
}

// restText says until when nothing holds verdicts back.
func (b *Brake) restText(now time.Time) string {
	if !b.Rests.After(now) {
		return ""
	}
	return ", not again before " + clock(b.Rests, now)
}

// selfText says what the resolver thinks of its own network.
func (b *Brake) selfText(before string) string {
	switch n := b.SelfPassing + b.SelfFailing; {
	case n == 0:
		return ""
	case b.SelfFailing == 0:
		return before + "self-checks pass"
	default:
		return fmt.Sprintf("%s%d of %s", before, b.SelfFailing, count(n, "self-check fails", "self-checks fail"))
	}
}

func (s *Status) refusedText() string {
	if len(s.Cap.Refused) == 0 {
		return ""
	}
	return ", REFUSED for " + strings.Join(s.Cap.Refused, ", ")
}

func (s *Status) nextLine() string {
	n := s.Next
	if n == nil {
		return "no failback is due"
	}
	switch {
	case n.Manual:
		return fmt.Sprintf("%s waits for an operator to go back to %s", n.Service, n.Region)
	case n.At.IsZero():
		return fmt.Sprintf("failback to %s is under way", n.Region)
	case n.IfUp:
		return fmt.Sprintf("earliest failback to %s at %s, if Up from now on", n.Region, clock(n.At, s.At))
	}
	return fmt.Sprintf("earliest step of the failback to %s at %s (in %s)", n.Region, clock(n.At, s.At), ago(n.At.Sub(s.At)))
}

func (s *Status) configLines() []string {
	out := []string{fmt.Sprintf("%s of %s ago, decisions %s, %d of %s up, started %s ago (%s)",
		s.Config.Hash[:min(8, len(s.Config.Hash))], ago(s.At.Sub(s.Config.At)), s.Decision,
		s.Checks.Up, count(s.Checks.Total, "check", "checks"), ago(s.At.Sub(s.Started)), clock(s.Started, s.At))}
	for _, warning := range s.Warnings {
		out = append(out, "WARNING "+warning)
	}
	return out
}

// WriteExplanation writes an explanation for people: its steps, then the answer.
func WriteExplanation(w io.Writer, x *Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s for client %s", x.Name, x.Type, x.Client)
	if x.Service != x.Name && x.Service != "" {
		fmt.Fprintf(&b, " (service %s)", x.Service)
	}
	b.WriteByte('\n')
	for _, step := range x.Steps {
		fmt.Fprintf(&b, "  %s\n", step)
	}
	if x.Spread && x.Reason == "ramp" {
		b.WriteString("  shares are drawn anew for each answer here: this client stands for many, or few networks ask\n")
	}
	fmt.Fprintf(&b, "%s\n", x.text())
	for _, o := range x.Others {
		fmt.Fprintf(&b, "%s\n", o.text())
	}
	if len(x.Says) > 0 {
		b.WriteByte('\n')
		sayingTable(&b, x.Says)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (o *Answering) text() string {
	if o.Same {
		return fmt.Sprintf("%s (%s) answers the same: its decisions are equal", o.Observer, o.Zone)
	}
	return fmt.Sprintf("%s (%s) has made other decisions (%s): ask it itself, with --admin", o.Observer, o.Zone, o.Decision)
}

func (x *Explanation) text() string {
	switch x.Answer {
	case "servfail":
		return "SERVFAIL"
	case "nodata":
		return "NODATA"
	case answerElsewhere:
		return "not answered from failover.yaml"
	case "record":
		return strings.TrimSpace(x.Record + "  " + strings.Join(x.Addresses, " "))
	}
	return strings.Join(x.Addresses, " ")
}
