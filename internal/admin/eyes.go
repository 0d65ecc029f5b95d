package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// someNames is how many names a list shows unless all are asked for.
const someNames = 10

// WriteSimulation says what would be, for people: who would be left without
// first. all lists every service.
func WriteSimulation(w io.Writer, s *Simulation, all bool) error {
	var b strings.Builder
	down := strings.Join(s.Down, " and ")
	switch n := len(s.Without) + len(s.Frozen) + len(s.Observed); {
	case s.Affected == 0:
		fmt.Fprintf(&b, "OK  nothing of %s would be touched if %s were silent\n", count(s.Services, "service", "services"), down)
	case n == 0:
		fmt.Fprintf(&b, "OK  if %s were silent, every service would have a healthy answer\n", down)
	default:
		fmt.Fprintf(&b, "NOT OK  if %s were silent, %s\n", down, count(n, "service would be left without a healthy answer", "services would be left without a healthy answer"))
	}
	how := "--all"
	if all {
		how = ""
	}
	row := func(label, text string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "%-10s %s: %s\n", label, text, nameList(names, how))
		}
	}
	row("without", count(len(s.Without), "service has nothing healthy elsewhere", "services have nothing healthy elsewhere"), s.Without)
	row("frozen", count(len(s.Frozen), "service would stay there, by a freeze", "services would stay there, by a freeze"), s.Frozen)
	row("observed", count(len(s.Observed), "service would stay there: it is only observed", "services would stay there: they are only observed"), s.Observed)
	if len(s.Moves) > 0 {
		fmt.Fprintf(&b, "%-10s %s -> %s\n", "moves", count(len(s.Moves), "service", "services"), countList(s.To))
	}
	row("no backup", count(len(s.NoBackup), "service would lose its last backup", "services would lose their last backup"), s.NoBackup)
	if s.Brake {
		fmt.Fprintf(&b, "%-10s so much at once looks like a fault of the resolver's own: unless self.checks pass, it would wait %s first\n",
			"brake", time.Duration(s.BrakeSecs*float64(time.Second)))
	}
	if all && len(s.Moves) > 0 {
		b.WriteByte('\n')
		moveTable(&b, s.Moves)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// jsonHasAll says where a list is whole that has no flag of its own for that.
const jsonHasAll = "--json has all"

// nameList writes names, of many the first ones; how says how to see the others, ""
// writes all.
func nameList(names []string, how string) string {
	if how == "" || len(names) <= someNames {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:someNames], ", ") + fmt.Sprintf(" and %d more (%s)", len(names)-someNames, how)
}

func moveTable(w io.Writer, moves []Move) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tFROM\tTO")
	for _, m := range moves {
		fmt.Fprintf(t, "%s\t%s\t%s\n", m.Service, list(m.From), list(m.To))
	}
	_ = t.Flush() // into memory
}

// WriteProbes writes a table of probes, each with its steps and their times.
func WriteProbes(w io.Writer, p *Probes) error {
	var b strings.Builder
	failed := 0
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tREGION\tADDRESS\tCHECK\tRESULT\tTOOK\tSTEPS")
	for i := range p.Probes {
		x := &p.Probes[i]
		if x.Cause != "ok" {
			failed++
		}
		result := x.Cause
		if x.Detail != "" {
			result += " (" + x.Detail + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", dash(x.Service), x.Region, x.address(), x.check(), result, spent(x.Took), x.steps())
	}
	_ = t.Flush() // into memory
	if len(p.Probes) == 0 {
		b.Reset()
		fmt.Fprintf(&b, "%s has no check that could be run here\n", p.Target)
	} else {
		fmt.Fprintf(&b, "%d of %s\n", failed, count(len(p.Probes), "probe failed", "probes failed"))
	}
	if p.Left > 0 {
		fmt.Fprintf(&b, "%s: name a service or an endpoint of %s\n", count(p.Left, "more check was not run", "more checks were not run"), p.Target)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (x *Probe) address() string {
	if x.Port == 0 {
		return x.Address
	}
	if strings.Contains(x.Address, ":") {
		return fmt.Sprintf("[%s]:%d", x.Address, x.Port)
	}
	return fmt.Sprintf("%s:%d", x.Address, x.Port)
}

func (x *Probe) check() string {
	if x.Monitor == "" || x.Monitor == x.Type {
		return x.Type
	}
	return x.Monitor + " (" + x.Type + ")"
}

// steps writes how long each step took, and not when it was done.
func (x *Probe) steps() string {
	if len(x.Steps) == 0 {
		return "-"
	}
	parts := make([]string, len(x.Steps))
	before := 0.0
	for i, s := range x.Steps {
		parts[i] = strings.ReplaceAll(s.Name, "_", " ") + " " + spent(s.At-before)
		before = s.At
	}
	return strings.Join(parts, ", ")
}

// spent writes milliseconds.
func spent(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// WriteCompared says what a failover.yaml would change, for people.
func WriteCompared(w io.Writer, c *Compared) error {
	var b strings.Builder
	switch {
	case c.Same:
		b.WriteString("it is the configuration in use: nothing would change\n")
	case len(c.Faults) > 0:
		fmt.Fprintf(&b, "the running resolver would not take it:\n  %s\n", strings.Join(c.Faults, "\n  "))
	default:
		if c.Refused != "" {
			fmt.Fprintf(&b, "REFUSED  the running resolver would not take it: %s\n", c.Refused)
		}
		fmt.Fprintf(&b, "%-8s %s\n", "moves", count(len(c.Moves), "service would answer from elsewhere", "services would answer from elsewhere"))
		row := func(label, one, many string, names []string) {
			if len(names) > 0 {
				fmt.Fprintf(&b, "%-8s %s: %s\n", label, count(len(names), one, many), nameList(names, jsonHasAll))
			}
		}
		writeOthers(&b, c.Others)
		row("added", "service", "services", c.Added)
		row("removed", "service would no longer be answered", "services would no longer be answered", c.Removed)
		fmt.Fprintf(&b, "%-8s %d, %d of them new\n", "checks", c.Checks, c.New)
		if len(c.Moves) > 0 {
			b.WriteByte('\n')
			moveTable(&b, c.Moves)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeOthers lists the first services that would answer otherwise.
func writeOthers(b *strings.Builder, others []Other) {
	const most = 20
	for _, o := range others[:min(len(others), most)] {
		fmt.Fprintf(b, "%-8s %s: other %s\n", "changes", o.Service, strings.Join(o.What, ", "))
	}
	if more := len(others) - most; more > 0 {
		fmt.Fprintf(b, "%-8s %s\n", "changes", count(more, "more service", "more services"))
	}
}
