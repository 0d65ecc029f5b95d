package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteChanged says what a change did, or would do, for people. did is what became
// of the override or freeze: "in force", "ended".
func WriteChanged(w io.Writer, did string, c *Changed, now time.Time) error {
	switch {
	case c.Glass:
		did = "nothing is changed; without --break-glass this would be refused"
	case c.DryRun:
		did = "nothing is changed; this would be " + did
	}
	switch {
	case c.Override != nil:
		o := c.Override
		fmt.Fprintf(w, "%s: %s of %s%s, by %s: %s\n", did, o.Do, o.Target, ends(o.Until, now), o.Owner, o.Reason)
	case c.Freeze != nil:
		f := c.Freeze
		fmt.Fprintf(w, "%s: freeze of %s%s, by %s: %s\n", did, everything(f.Target), ends(f.Until, now), f.Owner, f.Reason)
	}
	if o := c.Replaced; o != nil {
		fmt.Fprintf(w, "replaces   %s by %s%s: %s\n", o.Do, o.Owner, ends(o.Until, now), o.Reason)
	}
	if f := c.Thawed; f != nil {
		fmt.Fprintf(w, "replaces   freeze by %s%s: %s\n", f.Owner, ends(f.Until, now), f.Reason)
	}
	if c.Failback > 0 {
		fmt.Fprintln(w, count(c.Failback, "pool takes its traffic back", "pools take their traffic back"))
	}
	if len(c.Split) > 0 {
		fmt.Fprintf(w, "split      %s: the resolvers of all zones were told to end it\n", nameList(c.Split, jsonHasAll))
	}
	c.writeMoves(w)
	if len(c.Stays) > 0 {
		fmt.Fprintf(w, "STAYS      %s: would be left with nothing, and so still answers from there\n", nameList(c.Stays, jsonHasAll))
	}
	if len(c.NoReady) > 0 {
		fmt.Fprintf(w, "no region  %s: left without a ready region\n", nameList(c.NoReady, jsonHasAll))
	}
	if len(c.NoBackup) > 0 {
		fmt.Fprintf(w, "no backup  %s: this takes the last one\n", nameList(c.NoBackup, jsonHasAll))
	}
	if c.Warning != "" {
		fmt.Fprintf(w, "warning    %s\n", c.Warning)
	}
	return nil
}

// writeMoves lists the first moves.
func (c *Changed) writeMoves(w io.Writer) {
	some := c.Moves[:min(len(c.Moves), someNames)]
	for _, m := range some {
		fmt.Fprintf(w, "moves      %s: %s -> %s\n", m.Service, list(m.From), list(m.To))
	}
	if n := len(c.Moves) - len(some); n > 0 {
		fmt.Fprintf(w, "moves      and %s more (%s)\n", count(n, "service", "services"), jsonHasAll)
	}
}

func ends(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !t.After(now) {
		return overSince(t)
	}
	return fmt.Sprintf(" until %s (%s)", t.Local().Format("15:04:05"), t.Sub(now).Round(time.Second))
}

func everything(target string) string {
	if target == "" {
		return "everything"
	}
	return target
}

func list(regions []string) string {
	if len(regions) == 0 {
		return "nothing"
	}
	return strings.Join(regions, "+")
}

// WriteHands lists what operators decided, for people.
func WriteHands(w io.Writer, h *Hands, now time.Time) error {
	if len(h.Overrides)+len(h.Freezes) == 0 {
		_, err := fmt.Fprintln(w, "no overrides, no freeze")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TARGET\tDO\tOWNER\tENDS\tREASON")
	for _, o := range h.Overrides {
		end := "when the file says so"
		switch {
		case o.Until.IsZero():
		case o.Until.After(now):
			end = "in " + o.Until.Sub(now).Round(time.Second).String()
		default:
			end = strings.TrimPrefix(overSince(o.Until), ", ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.Target, o.Do, o.Owner, end, o.Reason)
	}
	for _, f := range h.Freezes {
		fmt.Fprintf(t, "%s\tfreeze\t%s\tin %s\t%s\n", everything(f.Target), f.Owner, f.Until.Sub(now).Round(time.Second), f.Reason)
	}
	return t.Flush()
}
