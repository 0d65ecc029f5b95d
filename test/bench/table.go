package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\twhat\tours\tcompared with\tratio\ttarget\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.What, r.Ours, r.Other, r.Ratio, r.Target, verdict(r))
	}
	_ = t.Flush()
}

func verdict(r row) string {
	switch {
	case r.Target == "":
		return ""
	case r.Met:
		return "met"
	}
	return "MISSED"
}

// page is docs/performance.md.
func page(b *bench) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `# Performance

What `+"`make bench`"+` printed last, on %s. Repeat it with that command, in about 25 minutes: it builds stock CoreDNS v1.15.0
from the same module version and a Consul server, and needs Debian's dnsperf; what probes and reloads cost it measures in network namespaces of its own,
and needs root, iproute2 and nftables for that. The machine: %s, %d cores, %s, %s.

A figure of a whole system is CPU time per answered query, as the operating system accounts it to the server's process, at
%d queries a second over loopback, client and server each on a core of its own. Ours and the other one run in turns; the
ratio is the median of %d pairs (20 for pass-through), with the quartiles. Our command is built as `+"`make build`"+` builds it, with its
profile; stock CoreDNS as its authors build it, which have none. Targets that are missed are shown as missed.

| | what | ours | compared with | ratio | target | |
|---|---|---|---|---|---|---|
`, time.Now().UTC().Format("2 January 2006"), model(), runtime.NumCPU(), kernel(), runtime.Version(), b.rate, b.pairs)
	for _, r := range b.rows {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s |\n", r.ID, r.What, r.Ours, r.Other, r.Ratio, r.Target, verdict(r))
	}
	notes, err := os.ReadFile("test/bench/notes.md")
	if err == nil {
		out.WriteString("\n")
		out.Write(notes)
	}
	return out.Bytes()
}

func model() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "unknown processor"
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(text))
}
