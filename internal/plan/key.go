package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
)

// checkKey describes what is checked and how, so that health survives every
// edit of the file that does not change that: order, names, other services.
func checkKey(m *config.Monitor, at netip.AddrPort, host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", m.Type, at.Addr())
	if at.Port() != 0 {
		fmt.Fprintf(&b, " port=%d", at.Port())
	}
	if m.Type != config.TCP && m.Type != config.ICMP {
		fmt.Fprintf(&b, " host=%s", host)
	}
	for _, part := range [...]struct{ name, value string }{
		{"path", m.Path},
		{"method", m.Method},
		{"headers", headers(m.Headers)},
		{"expect", expect(&m.Expect)},
		{"query", strings.TrimSpace(m.Query.Name + " " + m.Query.Type)},
		{"service", m.Service},
		{"ca", m.CAFile},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, " %s=%q", part.name, part.value)
		}
	}
	if m.UseTLS {
		b.WriteString(" tls")
	}
	if !m.Verify && m.Type != config.TCP && m.Type != config.ICMP {
		b.WriteString(" noverify")
	}
	t := m.Timing
	fmt.Fprintf(&b, " every=%v/%v/%d/%d/%d/%v/%v", t.Interval, t.Timeout, t.Attempts, t.Fall, t.Rise, t.Confirm, t.Stale)
	return b.String()
}

func headers(h map[string]string) string {
	var out []string
	for k, v := range h {
		out = append(out, k+": "+v)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func expect(e *config.Expect) string {
	var out []string
	for _, r := range e.Status {
		out = append(out, fmt.Sprintf("%d-%d", r.Low, r.High))
	}
	if e.Body != nil {
		out = append(out, "body "+e.Body.String())
	}
	out = append(out, e.Answer...)
	if e.Rcode != "" {
		out = append(out, e.Rcode)
	}
	return strings.Join(out, " ")
}

// Bound is what check prints of a service: how long things take at worst.
type Bound struct {
	Refused  time.Duration // from a loud fault to new answers
	Silent   time.Duration // from a silent one
	TTL      time.Duration // that clients may hold the old answer
	Failback time.Duration // from Up to the first share, at least
	Ramp     time.Duration // from the first share to all
}

// publishSlack is what scheduling and publishing may add to a bound.
const publishSlack = 300 * time.Millisecond

// toldWithin is how long a catalog's own verdict takes to become ours. How long the
// catalog takes to come to it, its checks say.
const toldWithin = time.Second + publishSlack

// BoundOf returns the bounds of a service: those of its slowest monitor.
func BoundOf(c *config.Config, s *config.Service) Bound {
	b := Bound{TTL: s.TTL.Settled}
	for _, name := range s.Monitors {
		m, ok := c.Monitor(name)
		switch {
		case !ok || !m.Votes:
			continue
		case m.Type == config.ConsulChecks:
			b.Refused, b.Silent = max(b.Refused, toldWithin), max(b.Silent, toldWithin)
			continue
		}
		t := m.Timing
		b.Refused = max(b.Refused, t.Interval+time.Duration(t.Fall-1)*t.Confirm+publishSlack)
		b.Silent = max(b.Silent, t.Interval+time.Duration(t.Fall)*max(t.Timeout, t.Confirm)+publishSlack)
	}
	b.Failback = max(s.Failback.After, s.HoldDown.Step)
	if n := len(s.Failback.Ramp); n > 1 {
		b.Ramp = time.Duration(n-1) * s.Failback.Step
	}
	return b
}
